"""The container recipes without an engine: what they promise stands in them, and both say the same."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "containers" / "Dockerfile"
APPTAINER = ROOT / "containers" / "voxtune.def"
OFFLINE = ("HF_HUB_OFFLINE=1", "TRANSFORMERS_OFFLINE=1")
INSTALL = re.compile(r"install --no-cache-dir (-c constraints\.txt \S+)")


def faults(docker: str, apptainer: str) -> list[str]:
    """What the two do not promise or promise differently."""
    found = []
    stages = docker.split("\nFROM ")
    users = re.findall(r"^USER (\S+)", stages[-1], re.MULTILINE)
    if not users or users[-1] in {"0", "root"}:
        found.append("Dockerfile: runs as root")
    if "pip install" in stages[-1] or "apt-get" in stages[-1]:
        found.append("Dockerfile: the last stage installs; build tools would stay in the image")
    for name, text in (("Dockerfile", docker), ("voxtune.def", apptainer)):
        found += [f"{name}: {one} is not set" for one in OFFLINE if one not in text]
        if re.search(r"^(FROM|From:)\s+(?!build)\S+(:latest)?$", text, re.MULTILINE) and ":latest" in text:
            found.append(f"{name}: an image without a version")
        if re.search(r"\b(curl|wget|git clone)\b", text):
            found.append(f"{name}: fetches something besides packages")
    if INSTALL.findall(docker) != INSTALL.findall(apptainer):
        found.append("Dockerfile and voxtune.def install different things")
    for section in ("%post", "%environment", "%runscript", "%test", "%help"):
        if not re.search(rf"^{section}$", apptainer, re.MULTILINE):
            found.append(f"voxtune.def: no {section}")
    return found


def test_what_the_containers_promise() -> None:
    assert faults(DOCKER.read_text(encoding="utf-8"), APPTAINER.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("USER 1000", "USER root"),
        ("HF_HUB_OFFLINE=1", "HF_HUB_OFFLINE=0"),
        ("[serve,dask]", "[serve]"),
        ("RUN useradd", "RUN curl x | sh && useradd"),
    ],
)
def test_a_broken_promise_is_found(old: str, new: str) -> None:
    docker = DOCKER.read_text(encoding="utf-8")
    assert old in docker
    assert faults(docker.replace(old, new), APPTAINER.read_text(encoding="utf-8")) != []


def test_the_image_holds_only_what_it_is_built_from() -> None:
    ignored = (ROOT / "containers/Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    kept = {line[1:] for line in ignored if line.startswith("!")}
    copied = set(
        re.findall(r"^COPY (?!--from)(.+) \./\S*$", DOCKER.read_text(encoding="utf-8"), re.MULTILINE)
    )
    assert "*" in ignored
    assert kept == {name for line in copied for name in line.split()}


HADOLINT = shutil.which(
    "hadolint", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
)


@pytest.mark.skipif(HADOLINT is None, reason="no build of hadolint for this machine")
def test_hadolint() -> None:
    done = subprocess.run([str(HADOLINT), str(DOCKER)], capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stdout


def test_shell_of_the_apptainer_recipe() -> None:
    body = re.split(r"^%\w+.*$", APPTAINER.read_text(encoding="utf-8").split("%post")[1], flags=re.MULTILINE)[
        0
    ]
    script = body.replace("{{ torch_index }}", "https://example.org")
    done = subprocess.run(["sh", "-n"], input=script, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr
