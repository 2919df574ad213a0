/* Breaks a process at the n-th change it makes under one folder: LD_PRELOAD of benchmarks/integrity.
 *
 * shim_arm(state, folder, what, mode, at, journal): what counts is "rename" (rename, link) or "write" (write, open to create,
 * mkdir, rename, link, fsync); at its at-th the process that does it is killed (mode 0) or gets the error whose number mode is,
 * then and for every later write. A failing write has half its bytes written. The journal says what was written, synchronised
 * and renamed. The counter lies in the file "state", which children share: those that are forked, and programs that are
 * started with its path in VOXTUNE_SHIM_STATE.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

struct state {
    int armed, writes_count, mode, at, seen;
    char folder[PATH_MAX], journal[PATH_MAX];
};
static struct state nobody, *shared = &nobody;
static int journal = -1;

static ssize_t (*real_write)(int, const void *, size_t);

static void attach(const char *path) {
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, sizeof(struct state))) return;
    void *found = mmap(NULL, sizeof(struct state), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (found != MAP_FAILED) shared = found;
}
__attribute__((constructor)) static void begin(void) {
    real_write = dlsym(RTLD_NEXT, "write");
    const char *path = getenv("VOXTUNE_SHIM_STATE");
    if (path) attach(path);
}
void shim_arm(const char *state, const char *under, int count_writes, int how, int when, const char *journal_path) {
    attach(state);
    shared->armed = 0;
    strncpy(shared->folder, under, sizeof shared->folder - 1);
    strncpy(shared->journal, journal_path, sizeof shared->journal - 1);
    shared->writes_count = count_writes; shared->mode = how; shared->at = when; shared->seen = 0;
    shared->armed = 1;
}
int shim_seen(void) { shared->armed = 0; return shared->seen; }

static void note(const char *what, const char *a, const char *b) {
    if (!shared->journal[0]) return;
    if (journal < 0) journal = open(shared->journal, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    char line[3 * PATH_MAX];
    int size = snprintf(line, sizeof line, "%s\t%s\t%s\n", what, a, b);
    real_write(journal, line, size);
}
static int under(const char *path) {
    if (!shared->armed || !path) return 0;
    char whole[PATH_MAX];
    if (path[0] != '/') {
        if (!getcwd(whole, sizeof whole)) return 0;
        strncat(whole, "/", sizeof whole - strlen(whole) - 1);
        strncat(whole, path, sizeof whole - strlen(whole) - 1);
        path = whole;
    }
    return strncmp(path, shared->folder, strlen(shared->folder)) == 0;
}
static int path_of(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, path, PATH_MAX - 1);
    if (size <= 0 || path[0] != '/') return 0; /* a pipe or a socket */
    path[size] = 0;
    return under(path);
}
static __thread int place;
/* 1: the call must fail with errno set. */
static int breaks(int is_rename) {
    if (!shared->armed || (!shared->writes_count && !is_rename)) return 0;
    place = __sync_add_and_fetch(&shared->seen, 1);
    if (shared->at && place >= shared->at) {
        if (shared->mode == 0) { if (place == shared->at) kill(getpid(), SIGKILL); return 0; }
        errno = shared->mode;
        return 1;
    }
    return 0;
}
#define REAL(name) ((typeof(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *data, size_t size) {
    if (!real_write) real_write = REAL(write);
    char path[PATH_MAX];
    if (shared->armed && fd != journal && path_of(fd, path)) {
        if (breaks(0)) {
            int why = errno;
            if (place == shared->at && size > 1) real_write(fd, data, size / 2);
            errno = why;
            return -1;
        }
        note("write", path, "");
    }
    return real_write(fd, data, size);
}
ssize_t writev(int fd, const struct iovec *parts, int count) {
    char path[PATH_MAX];
    if (shared->armed && path_of(fd, path)) { if (breaks(0)) return -1; note("write", path, ""); }
    return REAL(writev)(fd, parts, count);
}
static int opens(const char *path, int flags) {
    return (flags & (O_CREAT | O_TRUNC)) && under(path);
}
#define OPEN(name) int name(const char *path, int flags, ...) { \
    va_list rest; va_start(rest, flags); mode_t bits = va_arg(rest, mode_t); va_end(rest); \
    if (opens(path, flags)) { if (breaks(0)) return -1; note("write", path, ""); } \
    return REAL(name)(path, flags, bits); }
OPEN(open)
OPEN(open64)
#define OPENAT(name) int name(int at_fd, const char *path, int flags, ...) { \
    va_list rest; va_start(rest, flags); mode_t bits = va_arg(rest, mode_t); va_end(rest); \
    if (opens(path, flags)) { if (breaks(0)) return -1; note("write", path, ""); } \
    return REAL(name)(at_fd, path, flags, bits); }
OPENAT(openat)
OPENAT(openat64)
int mkdir(const char *path, mode_t bits) {
    if (under(path)) { if (breaks(0)) return -1; }
    return REAL(mkdir)(path, bits);
}
int rename(const char *from, const char *to) {
    if (under(to)) { if (breaks(1)) return -1; note("rename", from, to); }
    return REAL(rename)(from, to);
}
int renameat(int a, const char *from, int b, const char *to) {
    if (under(to)) { if (breaks(1)) return -1; note("rename", from, to); }
    return REAL(renameat)(a, from, b, to);
}
int link(const char *from, const char *to) {
    if (under(to)) { if (breaks(1)) return -1; }
    return REAL(link)(from, to);
}
int fsync(int fd) {
    char path[PATH_MAX];
    if (shared->armed && path_of(fd, path)) { if (breaks(0)) return -1; note("fsync", path, ""); }
    return REAL(fsync)(fd);
}
