"""Fetch Flink's distribution, and Beam's job servers for Flink and Spark, into `.flink/`, once.

Flink's is taken out of the package apache-flink-libraries, which is not installed. A job server is
FLINK_JOB_SERVER_JAR or SPARK_JOB_SERVER_JAR where that is set; else Maven builds it of `pom.xml`.
"""

import dataclasses
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".flink"
FLINK = "1.19.3"
_PACKAGE = "apache-flink-libraries"
_POM = pathlib.Path(__file__).with_name("pom.xml")
_SECONDS = 900


class UnavailableError(Exception):
    """What is needed is not there, and cannot be had: the text says what."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Flink:
    """Names what was fetched.

    Attributes:
      java: the command of Java.
      jars: the jars of the distribution, which a job manager and a task manager need.
      job_server: the jar of Beam's job server.
    """

    java: str
    jars: tuple[pathlib.Path, ...]
    job_server: pathlib.Path


def fetch() -> Flink:
    """Fetch what is not yet there.

    Raises:
      UnavailableError: Java or Maven is not there, or a repository does not serve a package.
    """
    return Flink(java=java(), jars=_distribution(), job_server=job_server("flink"))


def java() -> str:
    """Return the command of Java.

    Raises:
      UnavailableError: it is not there.
    """
    java = shutil.which("java")
    # Of some systems, `java` is there and only says that it is not.
    if java is None or subprocess.run([java, "-version"], capture_output=True).returncode:
        raise UnavailableError("expected Java 11 or 17 among the commands, received none")
    return java


def _distribution() -> tuple[pathlib.Path, ...]:
    folder = FOLDER / f"flink-{FLINK}"
    if not folder.is_dir():
        FOLDER.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=FOLDER) as part:
            _run(
                *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"),
                *("--no-build-isolation", f"--dest={part}", f"{_PACKAGE}=={FLINK}"),
            )
            [archive] = pathlib.Path(part).glob("*.tar.gz")
            with tarfile.open(archive) as opened:
                opened.extractall(part, filter="data")
            (pathlib.Path(part) / f"{_PACKAGE}-{FLINK}" / "deps" / "lib").rename(folder)
    needed = ("flink-dist-*.jar", "log4j-*.jar")
    return tuple(sorted(jar for name in needed for jar in folder.glob(name)))


def job_server(engine: str) -> pathlib.Path:
    """Return the jar of Beam's job server for an engine, a profile of `pom.xml`.

    Raises:
      UnavailableError: Maven is not there, or a repository does not serve a package.
    """
    variable = f"{engine.upper()}_JOB_SERVER_JAR"
    if given := os.environ.get(variable):
        if not os.path.isfile(given):
            raise UnavailableError(f"{variable}={given}: expected a file, received none")
        return pathlib.Path(given)
    jar = FOLDER / f"{engine}-job-server.jar"
    if not jar.exists() or jar.stat().st_mtime < _POM.stat().st_mtime:
        if shutil.which("mvn") is None:
            raise UnavailableError(
                f"expected Maven among the commands, or {variable}=FILE, received none"
            )
        FOLDER.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=FOLDER) as part:
            shutil.copy(_POM, part)
            _run(
                "mvn", "--quiet", "--batch-mode", f"-P{engine}", f"--file={part}/pom.xml", "package"
            )
            os.replace(f"{part}/target/{jar.name}", jar)
        jar.touch()
    return jar


def _run(*command: str) -> None:
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=_SECONDS
    )
    if done.returncode:
        said = [line for line in done.stdout.splitlines() if "ERROR" in line] or ["nothing"]
        raise UnavailableError(f"{command[0]} ended with {done.returncode}: {said[0]}")
