"""Throw damaged and hostile input at every door for a stated processor time: ``python benchmarks/integrity/fuzz.py FOLDER [--seconds 60]``.

Every run of a door ends as accepted, as refused (an error of ours), as escaped (any other exception) or as hung (20 s). For the
server a run is one connection; it has escaped where ``/health`` does not answer afterwards. Results go to ``results/fuzz.json``.
"""

import argparse
import asyncio
import contextlib
import gzip
import hashlib
import io
import json
import os
import random
import re
import signal
import socket
import sys
import threading
import time
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import study
from stored import stored_files

RESULTS = Path(__file__).parent / "results" / "fuzz.json"
HUNG_SECONDS = 20
Target = Callable[[random.Random], object]
HOSTILE = (
    0, -1, 2**31, 2**63, 10**30, 1e308, -0.0, True, None, "", "\x1b[2J", "\u202e", "x" * 20_000, [], {}, [[]], ["x"] * 5000, "../../etc/passwd", "{name}" * 50,
    {"kind": "os:system"},
)  # fmt: skip
PIECES = (
    "{{ label }}", "{{ age }}", "{{ label.__class__ }}", "{{ 'x' * 999999999 }}", "{{ 9 ** 9 ** 9 }}", "{% for x in (1, 2) %}", "{% endfor %}", "{% if age %}",
    "{% endif %}", "{{ listed(('A', age, 'y')) }}", "{{ age|round(2) }}", "{{ label|center(99999999) }}", "{% include 'x' %}", "{% macro f() %}", "{% endmacro %}",
    "{{ [1, 2] }}", "{{ (" * 30, ") }}" * 3, "{% set a = label * 99 %}", "{{ a }}", "{{ label|replace('a', label * 9999) }}", "{# x #}", "{% raw %}", "{% endraw %}",
    "text ", "{{ 1 / 0 }}", "{{ age|float / 3 }}", "{{ nothing }}", "{% for x in label recursive %}", "{{ loop(1) }}", "\x00", "\ud800", "{{ self }}",
)  # fmt: skip


def mutated(data: bytes, draw: random.Random) -> bytes:
    """Bytes with some of them flipped, cut, doubled or set to borders of numbers."""
    found = bytearray(data)
    for _ in range(draw.choice((1, 1, 2, 8, 32))):
        place = (
            draw.randrange(max(len(found), 1))
            if draw.random() < 0.5
            else draw.randrange(min(len(found), 400) or 1)
        )
        what = draw.randrange(5)
        if what == 0 and found:
            found[place] ^= 1 << draw.randrange(8)
        elif what == 1:
            found[place : place + 4] = draw.choice(
                (
                    b"\xff\xff\xff\xff",
                    b"\x00\x00\x00\x00",
                    b"\x7f\xff\xff\xff",
                    b"\xff\xff\xff\x7f",
                    b"\x00\x00\xc0\x7f",
                )
            )
        elif what == 2:
            del found[place : place + draw.choice((1, 4, 100, len(found)))]
        elif what == 3:
            found[place:place] = found[place : place + draw.choice((1, 16, 400))]
        else:
            found[place : place + 8] = draw.randbytes(8)
    return bytes(found)


def nifti(root: Path, folder: Path) -> Target:
    """A volume, packed or not."""
    from voxtune.imaging.read import read_scan

    plain = gzip.decompress(next((root / "pre").glob("*/volume.nii.gz")).read_bytes())

    def run(draw: random.Random) -> object:
        content = mutated(plain, draw)
        packed = draw.random() < 0.5
        path = folder / ("a.nii.gz" if packed else "a.nii")
        if packed:
            content = gzip.compress(content, 1)
            content = mutated(content, draw) if draw.random() < 0.3 else content
        path.write_bytes(content)
        return read_scan(path)

    return run


def dicom_zip(_: Path, folder: Path) -> Target:
    """A DICOM series in a zip."""
    import numpy as np
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    from voxtune.imaging.read import open_scan

    series, slices = generate_uid(entropy_srcs=["s"]), []
    for number in range(6):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID = (
            "1.2.840.10008.5.1.4.1.1.2",
            ExplicitVRLittleEndian,
        )
        meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["i", str(number)])
        one = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
        one.SOPClassUID, one.SOPInstanceUID, one.SeriesInstanceUID = (
            meta.MediaStorageSOPClassUID,
            meta.MediaStorageSOPInstanceUID,
            series,
        )
        one.Modality, one.Rows, one.Columns, one.InstanceNumber = "CT", 16, 16, number + 1
        one.ImagePositionPatient, one.ImageOrientationPatient, one.PixelSpacing = (
            [0, 0, 2.0 * number],
            [1, 0, 0, 0, 1, 0],
            [1, 1],
        )
        one.BitsAllocated = one.BitsStored = 16
        one.HighBit, one.PixelRepresentation, one.SamplesPerPixel, one.PhotometricInterpretation = (
            15,
            1,
            1,
            "MONOCHROME2",
        )
        one.RescaleSlope, one.RescaleIntercept = 1, -1024
        one.PixelData = np.arange(256, dtype="<i2").tobytes()
        buffer = io.BytesIO()
        one.save_as(buffer, enforce_file_format=True)
        slices.append(buffer.getvalue())

    def run(draw: random.Random) -> object:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", draw.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
            for number, one in enumerate(slices):
                archive.writestr(f"{number}.dcm", mutated(one, draw) if draw.random() < 0.3 else one)
        content = buffer.getvalue()
        (folder / "a.zip").write_bytes(mutated(content, draw) if draw.random() < 0.5 else content)
        return open_scan(folder / "a.zip")

    return run


def adapter(root: Path, folder: Path) -> Target:
    """Facts with hostile values, with sums that fit."""
    import shutil

    from voxtune.model.adapter import FILES, load_adapter
    from voxtune.storage.seal import write_sums

    copy = Path(shutil.copytree(root / "adapter", folder / "adapter", dirs_exist_ok=True))
    tree = json.loads((copy / "adapter.json").read_text(encoding="utf-8"))
    tensors = (copy / FILES[0]).read_bytes()

    def run(draw: random.Random) -> object:
        facts = changed(tree, draw)
        if draw.random() < 0.3:
            data = mutated(tensors, draw)
            (copy / FILES[0]).write_bytes(data)
            facts["adapter_sha256"] = hashlib.sha256(data).hexdigest()
        else:
            (copy / FILES[0]).write_bytes(tensors)
        (copy / "adapter.json").write_text(json.dumps(facts), encoding="utf-8")
        write_sums(copy, FILES, shared=True)
        return load_adapter(copy)

    return run


def manifest(root: Path, folder: Path) -> Target:
    """A table with changed bytes and cells."""
    from voxtune.data.manifest import read_manifest

    whole = (root / "cohort" / "manifest.tsv").read_bytes()

    def run(draw: random.Random) -> object:
        (folder / "m.tsv").write_bytes(mutated(whole, draw))
        return read_manifest(folder / "m.tsv")

    return run


def template(_: Path, folder: Path) -> Target:
    """Pieces of templates, in any order."""
    from voxtune.reports.wording import load_template, write_report
    from voxtune.types.records import ManifestRow

    row = ManifestRow(participant_id="p", scan_id="s", image="s.nii", diagnosis="AD", age=70.0)

    def run(draw: random.Random) -> object:
        text = "".join(draw.choice(PIECES) for _ in range(draw.randrange(1, 12)))
        content = text.encode("utf-8", "surrogatepass")
        (folder / "t.txt").write_bytes(mutated(content, draw) if draw.random() < 0.3 else content)
        return write_report(row, load_template(folder / "t.txt"))

    return run


def changed(tree: Any, draw: random.Random) -> Any:
    """A copy of nested lists and tables with some values hostile."""
    found = json.loads(json.dumps(tree))
    for _ in range(draw.choice((1, 1, 2, 4))):
        place: Any = found
        while True:
            key = draw.choice(list(place) if isinstance(place, dict) else range(len(place)))
            if not (isinstance(place[key], dict | list) and place[key]) or draw.random() < 0.15:
                break
            place = place[key]
        place[key] = json.loads(json.dumps(draw.choice(HOSTILE)))
    return found


def case_bank(_: Path, folder: Path) -> Target:
    """A bank of cases with hostile values and a seal that fits, asked for the neighbours of a scan."""
    import numpy as np

    from voxtune.cases.bank import anonymous_bank, cases_of, read_bank
    from voxtune.cases.nearest import Case, nearest
    from voxtune.storage.seal import write_sealed

    numbers = np.random.default_rng(0).normal(size=(24, 16))
    numbers /= np.linalg.norm(numbers, axis=1, keepdims=True)
    cases = [
        Case(f"s{n}", f"p{n}", one, diagnosis=("NC", "AD")[n % 2], targets={"mmse": 20.0 + n % 9})
        for n, one in enumerate(numbers)
    ]
    whole = anonymous_bank(cases, "a" * 64).model_dump(mode="json")
    query = Case("q", None, numbers[0])

    def run(draw: random.Random) -> object:
        write_sealed(folder / "case_bank.json", changed(whole, draw))
        bank = read_bank(folder, "a" * 64)
        assert bank is not None
        near = nearest(query, cases_of(bank, ("mmse",)), "image", 3)
        assert all(np.isfinite(one.score) for one in near.neighbours)
        return near

    return run


def norms(_: Path, __: Path) -> Target:
    """A normative model with hostile values, asked where scans stand."""
    import math

    from pydantic import ValidationError

    from voxtune.errors import WeightsError
    from voxtune.profiles.read import read_profile
    from voxtune.reports.norms import fit_norms
    from voxtune.reports.standing import standings
    from voxtune.types.norms import Norms
    from voxtune.types.records import ManifestRow

    rows = [
        ManifestRow(
            participant_id=f"p{n}", scan_id=f"s{n}", image="a.nii", diagnosis="NC", age=60 + n % 25, sex="FM"[n % 2],
            hippocampus_mm3=6000 + 40 * (n % 17), ventricles_mm3=30000 + 900 * (n % 13), icv_mm3=1.4e6 + 9e3 * (n % 19),
        )
        for n in range(80)
    ]  # fmt: skip
    tree = fit_norms(rows, read_profile("dementia"), ("NC",)).norms.model_dump(mode="json")

    def run(draw: random.Random) -> object:
        try:
            found = Norms.model_validate_json(json.dumps(changed(tree, draw)))
        except ValidationError as error:  # as the facts of an adapter are refused
            raise WeightsError(str(error)) from None
        said = [standings(found, row) for row in rows[:5]]
        assert all(
            math.isfinite(two)
            for one in said
            for place in one.regions.values()
            for two in vars(place).values()
        )
        return said

    return run


def profile(_: Path, folder: Path) -> Target:
    """A profile of one's own."""
    from voxtune.profiles.read import read_profile

    page = Path(__file__).parents[2] / "docs" / "how-to" / "add-a-disease.md"
    found = re.findall(r"```toml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    whole = max(found, key=len).encode()

    def run(draw: random.Random) -> object:
        (folder / "p.toml").write_bytes(mutated(whole, draw))
        return read_profile(folder / "p.toml")

    return run


def recipe(root: Path, folder: Path) -> Target:
    """The settings of a run with hostile values."""
    from voxtune.run_dir import RunDir

    tree = json.loads((root / "run" / "config.json").read_text(encoding="utf-8"))

    def run(draw: random.Random) -> object:
        text = json.dumps(changed(tree, draw)).encode()
        (folder / "config.json").write_bytes(mutated(text, draw) if draw.random() < 0.3 else text)
        return RunDir(folder).read_config()

    return run


def split(root: Path, folder: Path) -> Target:
    """A split with hostile values and a seal that fits."""
    import shutil

    from voxtune.data.split_files import read_split
    from voxtune.storage.seal import read_sealed, write_sealed

    copy = Path(shutil.copytree(root / "split", folder / "split", dirs_exist_ok=True))
    tree = read_sealed(copy / "split.json", "a split")
    table = (copy / "train.tsv").read_bytes()

    def run(draw: random.Random) -> object:
        write_sealed(copy / "split.json", changed(tree, draw))
        (copy / "train.tsv").write_bytes(mutated(table, draw) if draw.random() < 0.3 else table)
        return read_split(copy)

    return run


def scores(root: Path, folder: Path) -> Target:
    """An evaluation whose answers and facts were changed, compared with a whole one."""
    import shutil

    from voxtune.commands.compare import compare

    own = root / "run" / "evaluation" / "test"
    copy = folder / "evaluation"
    copy.mkdir(exist_ok=True)
    for name in ("predictions.tsv", "evaluation.json"):
        shutil.copy(own / name, copy / name)
    table, facts = (copy / "predictions.tsv").read_bytes(), json.loads((own / "evaluation.json").read_text())

    def run(draw: random.Random) -> object:
        (copy / "predictions.tsv").write_bytes(mutated(table, draw))
        (copy / "evaluation.json").write_text(json.dumps(changed(facts, draw)))
        found = compare(copy, own)
        json.dumps(found, allow_nan=False)
        return found

    return run


WORKER = """
import json, sys
print(json.dumps({"ready": {"classes": ["NC"], "targets": ["NC"], "biomarkers": {}, "base": "tiny", "adapter": "a"}}), flush=True)
sys.stdin.readline()
for line in sys.stdin:
    print(json.dumps({"failed": "Nothing of it is a brain."}), flush=True)
"""


def http(_: Path, folder: Path) -> Target:
    """Bytes at the server's port."""
    import uvicorn

    from voxtune.serving.app import make_app
    from voxtune.serving.connections import TimedProtocol
    from voxtune.serving.limits import Limits
    from voxtune.serving.service import Service

    script = folder / "worker.py"
    script.write_text(WORKER, encoding="utf-8")
    ready = threading.Event()
    place: list[int] = []

    async def serve() -> None:
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        place.append(listener.getsockname()[1])
        service = Service(Path("adapter"), None, Limits(upload_bytes=2**20), (sys.executable, str(script)))
        await service.start()
        config = uvicorn.Config(
            make_app(service, "token", place[0]), access_log=False, log_level="critical", http=TimedProtocol
        )
        ready.set()
        await uvicorn.Server(config).serve(sockets=[listener])

    threading.Thread(target=lambda: asyncio.run(serve()), daemon=True).start()
    assert ready.wait(60)
    port = place[0]

    def request(line: str, body: bytes = b"", more: str = "") -> bytes:
        head = f"{line} HTTP/1.1\r\nHost: localhost:{port}\r\nAuthorization: Bearer token\r\nContent-Length: {len(body)}\r\n{more}\r\n"
        return head.encode() + body

    form = (
        b'--b\r\nContent-Disposition: form-data; name="scan"; filename="a.nii"\r\n\r\n'
        + b"\x5c\x01\x00\x00"
        + b"x" * 400
        + b"\r\n--b--\r\n"
    )
    seeds = [
        request("GET /health"), request("POST /api/v1/scans?name=a.nii", b"\x5c\x01\x00\x00" + b"x" * 400), request("GET /api/v1/scans"),
        request("POST /api/v1/scans", form, "Content-Type: multipart/form-data; boundary=b\r\n"), request("DELETE /api/v1/scans/x"), request("GET /?token=token"),
    ]  # fmt: skip

    def asked(data: bytes, seconds: float) -> bytes:
        with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
            connection.sendall(data)
            return connection.recv(4096)

    def run(draw: random.Random) -> object:
        with contextlib.suppress(OSError):
            asked(mutated(draw.choice(seeds), draw), 0.05)
        answer = asked(request("GET /health"), HUNG_SECONDS)
        if not answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 503")):
            raise ConnectionError(answer[:100])
        return answer

    return run


TARGETS = {
    "NIfTI": nifti,
    "DICOM zip": dicom_zip,
    "adapter": adapter,
    "manifest": manifest,
    "template": template,
    "case bank": case_bank,
    "normative model": norms,
    "profile": profile,
    "recipe": recipe,
    "split": split,
    "evaluation": scores,
    "stored files of a study": stored_files,
    "HTTP": http,
}


def _spent() -> float:
    """Processor time of this process and of those that it waited for: whatever else the machine does counts for nothing."""
    return sum(os.times()[:4])


def fuzz(make: Callable[[Path, Path], Target], root: Path, folder: Path, seconds: float) -> dict[str, Any]:
    """Run one target for some seconds."""
    from voxtune.errors import VoxTuneError

    target = make(root, folder)
    count: Counter[str] = Counter()
    examples: list[str] = []
    warnings.simplefilter("ignore")

    def hang(*_: object) -> None:
        raise TimeoutError("hung")

    signal.signal(signal.SIGALRM, hang)
    began, seed, longest = _spent(), 0, 0.0
    while _spent() - began < seconds:
        seed += 1
        start = time.monotonic()
        signal.alarm(HUNG_SECONDS)
        try:
            with contextlib.redirect_stderr(io.StringIO()):
                target(random.Random(seed))
            end = "accepted"
        except VoxTuneError:
            end = "refused"
        except Exception as error:  # noqa: BLE001
            end = "hung" if str(error) == "hung" else "escaped"
            examples.append(f"seed {seed}: {type(error).__name__}: {error}"[:200])
        finally:
            signal.alarm(0)
        longest = max(longest, time.monotonic() - start)
        count[end] += 1
    ends = {name: count[name] for name in ("accepted", "refused", "escaped", "hung")}
    return {
        "seconds": seconds,
        "clock": "processor",
        "runs": sum(count.values()),
        **ends,
        "longest_seconds": round(longest, 1),
        "examples": examples[:5],
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("folder", type=Path)
    options.add_argument("--seconds", type=float, default=60)
    options.add_argument("--only", nargs="*")
    given = options.parse_args()
    study.preloaded()
    whole = study.make(given.folder.absolute())["whole"]
    stored: dict[str, Any] = json.loads(RESULTS.read_text()) if RESULTS.is_file() else {}
    for name, make in TARGETS.items():
        if name in stored or (given.only and name not in given.only):
            continue
        folder = given.folder.absolute() / "fuzz" / name.replace(" ", "-")
        folder.mkdir(parents=True, exist_ok=True)
        stored[name] = fuzz(make, whole, folder, given.seconds)
        print(name, stored[name], flush=True)
        RESULTS.write_text(json.dumps(stored, indent=1) + "\n")
    os._exit(0)  # the server's thread goes with the process


if __name__ == "__main__":
    main()
