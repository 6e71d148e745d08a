"""Renew the viewer from npm: ``python -m labtune_protein.viewer.fetch [VERSION]``. It needs npm and the network."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

FOLDER = Path(__file__).parent
FILES = {"package/build/3Dmol-min.js": "3Dmol-min.js", "package/LICENSE": "3Dmol-LICENSE.txt"}


def main() -> None:
    """Fetch the package and take two files out of it."""
    version = sys.argv[1] if len(sys.argv) > 1 else "latest"
    with tempfile.TemporaryDirectory() as folder:
        npm = shutil.which("npm") or "npm"
        subprocess.run([npm, "pack", f"3dmol@{version}", "--pack-destination", folder], check=True)
        (archive,) = Path(folder).glob("*.tgz")
        with tarfile.open(archive) as content:
            for inside, name in FILES.items():
                member = content.extractfile(inside)
                if member is None:
                    raise SystemExit(f"{archive.name} has no {inside}; choose another version")
                (FOLDER / name).write_bytes(member.read())


if __name__ == "__main__":
    main()
