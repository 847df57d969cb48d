from __future__ import annotations

import email
import os
import shutil
import subprocess
import sys
import zipfile
from configparser import ConfigParser
from pathlib import Path

import pytest

import cloudfront_ecs

ROOT = Path(__file__).parent.parent
PACKAGE = "cloudfront_ecs"
DATA = ("mappings", "dashboards")
CODE = ROOT / "plugin"


@pytest.fixture(name="cfg")
def _cfg() -> ConfigParser:
    """Return the project's setup.cfg."""
    cfg = ConfigParser()
    cfg.read(ROOT / "setup.cfg", "utf-8")
    return cfg


@pytest.fixture(name="wheel", scope="module")
def _wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy, so that nothing of an older build gets into it."""
    made = tmp_path_factory.mktemp("wheel")
    copy = made / "copy"
    for folder in ("plugin", *DATA):
        shutil.copytree(
            ROOT / folder,
            copy / folder,
            ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"),
        )
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, copy / name)
    subprocess.run(
        [
            sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "wheel",
            "--no-build-isolation", "--no-deps", "--no-index", "--wheel-dir", str(made), str(copy),
        ],
        check=True,
    )  # fmt: skip
    [wheel] = made.glob("*.whl")
    return wheel


def in_repository() -> set[str]:
    """Return every file that belongs into the wheel, by its place in there."""
    files = {path.relative_to(CODE) for path in CODE.rglob("*") if path.is_file()}
    files |= {
        Path(PACKAGE) / path.relative_to(ROOT)
        for folder in DATA
        for path in (ROOT / folder).rglob("*")
        if path.is_file()
    }
    return {
        path.as_posix()
        for path in files
        if path.suffix != ".pyc" and not any(part.endswith(".egg-info") for part in path.parts)
    }


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name[-1] != "/"}


def test_every_package_on_disk_is_listed(cfg: ConfigParser) -> None:
    code = {".".join(p.parent.relative_to(CODE).parts) for p in CODE.rglob("__init__.py")}
    data = {f"{PACKAGE}.{folder}" for folder in DATA if (ROOT / folder / "__init__.py").exists()}

    listed = cfg["options"]["packages"].split()

    assert set(listed) == code | data
    assert len(set(listed)) == len(listed)
    assert len(data) == len(DATA)


def test_no_module_lies_outside_a_package() -> None:
    bare = {
        folder.relative_to(CODE).as_posix()
        for folder in {path.parent for path in CODE.rglob("*.py")}
        if not (folder / "__init__.py").exists()
    }

    assert bare == set()


def test_the_wheel_holds_what_the_repository_holds(wheel: Path) -> None:
    shipped = {name for name in contents(wheel) if ".dist-info/" not in name}

    assert shipped == in_repository()


def test_data_files_come_through_unchanged(wheel: Path) -> None:
    shipped = contents(wheel)

    for folder in DATA:
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and path.suffix != ".pyc":
                name = f"{PACKAGE}/{path.relative_to(ROOT).as_posix()}"
                assert shipped[name] == path.read_bytes(), name


def test_the_wheel_says_that_it_is_typed_and_under_which_licence(wheel: Path) -> None:
    shipped = contents(wheel)
    [metadata] = [name for name in shipped if name.endswith(".dist-info/METADATA")]
    message = email.message_from_bytes(shipped[metadata])
    [licence] = [name for name in shipped if name.endswith("/LICENSE")]

    assert f"{PACKAGE}/py.typed" in shipped
    assert message["License-Expression"] == "Apache-2.0"
    assert shipped[licence] == (ROOT / "LICENSE").read_bytes()
    assert message["Requires-Python"] == ">=3.11"


def test_the_wheel_brings_the_command(wheel: Path) -> None:
    shipped = contents(wheel)
    [points] = [name for name in shipped if name.endswith(".dist-info/entry_points.txt")]
    parser = ConfigParser()
    parser.read_string(shipped[points].decode())

    command = parser["console_scripts"]["cloudfront-ecs"]

    module, _, function = command.partition(":")
    source = shipped[f"{module.replace('.', '/')}.py"].decode()
    assert f"def {function}(" in source


def test_the_wheel_works_without_the_repository(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import cloudfront_ecs, cloudfront_ecs.plugins, cloudfront_ecs.resources\n"
        "assert cloudfront_ecs.__file__.startswith(sys.argv[1]), cloudfront_ecs.__file__\n"
        "assert cloudfront_ecs.resources.field_table()\n"
        "print(*cloudfront_ecs.plugins.load_plugins().sinks)"
    )

    done = subprocess.run(
        [sys.executable, "-I", "-c", script, str(tmp_path / "installed")],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert "ndjson" in done.stdout.split()


def test_every_name_in_all_is_there_and_sorted() -> None:
    names = cloudfront_ecs.__all__

    assert names == sorted(names)
    assert all(hasattr(cloudfront_ecs, name) for name in names)


@pytest.mark.skipif(os.environ.get("CI") != "true", reason="only CI has to test the wheel")
def test_ci_tests_what_is_installed_and_not_the_repository() -> None:
    tested = Path(cloudfront_ecs.__file__).resolve()

    assert "site-packages" in tested.parts
    assert not tested.is_relative_to(CODE)
