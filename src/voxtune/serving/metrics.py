"""What a monitor asks: counters and gauges in the text format of Prometheus. No names of scans."""

import sys

from voxtune.serving.service import Service


def measures(service: Service) -> str:
    """The metrics of a server."""
    pool, counts = service.pool, service.pool.counts
    lines = [
        "# HELP voxtune_scans_total Scans that came to an end.",
        "# TYPE voxtune_scans_total counter",
        f'voxtune_scans_total{{end="done"}} {counts["done"]}',
        f'voxtune_scans_total{{end="failed"}} {counts["failed"]}',
    ]
    for name, kind, what, value in (
        ("voxtune_maps_total", "counter", "Heat maps made.", counts["maps"]),
        ("voxtune_worker_deaths_total", "counter", "Workers that died in mid-task.", counts["deaths"]),
        ("voxtune_timeouts_total", "counter", "Tasks ended by the time limit.", counts["timeouts"]),
        ("voxtune_busy_seconds_total", "counter", "Seconds spent on tasks.", round(pool.seconds, 3)),
        ("voxtune_drift", "gauge", "Figures of incoming scans that drifted.", len(service.monitor.found)),
        ("voxtune_workers", "gauge", "Workers that run.", sum(worker.alive for worker in pool.workers)),
        ("voxtune_scans_unfinished", "gauge", "Scans waiting or worked on.", service.scans.unfinished()),
        ("voxtune_scans_kept", "gauge", "Scans held.", len(service.scans)),
        ("voxtune_stored_bytes", "gauge", "Bytes on disk.", service.scans.stored_bytes()),
        ("voxtune_server_peak_bytes", "gauge", "Largest memory of the server process so far.", _peak_bytes()),
    ):
        lines += [f"# HELP {name} {what}", f"# TYPE {name} {kind}", f"{name} {value}"]
    return "\n".join(lines) + "\n"


def _peak_bytes() -> int:
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
