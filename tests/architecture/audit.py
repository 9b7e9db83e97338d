"""Asks for known vulnerabilities of every package of the lock: `make audit`.

pip-audit ends with success where the database knows nothing of a package or is out of reach of this machine. Here each
package that could not be asked about is counted, and "none found" is said only when all were.
"""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec


class _Vulnerability(msgspec.Struct, frozen=True):
    id: str
    fix_versions: tuple[str, ...] = ()


class _Package(msgspec.Struct, frozen=True):
    name: str
    version: str = ""
    vulns: tuple[_Vulnerability, ...] = ()
    skip_reason: str | None = None


class _Report(msgspec.Struct, frozen=True):
    dependencies: tuple[_Package, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What was found: lines to print, and the exit status (0 none, 1 vulnerable, 2 not known)."""

    lines: tuple[str, ...]
    status: int


def audit(lock: Path) -> Audit:
    """Run pip-audit over a file of names, versions and hashes."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(lock), "--require-hashes", "--disable-pip"]
    command += ["--format", "json", "--progress-spinner", "off"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return judged(done.stdout, done.stderr)


def judged(output: str, errors: str) -> Audit:
    """What pip-audit's JSON says, or that there is none."""
    try:
        packages = msgspec.json.decode(output, type=_Report).dependencies
    except msgspec.DecodeError:
        last = (errors.strip().splitlines() or ["pip-audit said nothing"])[-1]
        return Audit(lines=(f"The database could not be asked: {last}",), status=2)
    vulnerable = tuple(
        f"{package.name} {package.version}: {found.id}, mended in {', '.join(found.fix_versions) or 'no version yet'}"
        for package in packages
        for found in package.vulns
    )
    unknown = [package for package in packages if package.skip_reason is not None]
    asked = len(packages) - len(unknown)
    summary = f"{asked} of {len(packages)} packages were asked about, {len(vulnerable)} vulnerabilities are known."
    if unknown or not packages:
        reason = unknown[0].skip_reason if unknown else "the lock names none"
        summary += f" Of {len(unknown)} nothing is known ({reason}): try again where PyPI can be reached."
    status = 1 if vulnerable else 2 if unknown or not packages else 0
    return Audit(lines=(*vulnerable, summary), status=status)


if __name__ == "__main__":
    result = audit(Path(sys.argv[1]))
    print("\n".join(result.lines))  # noqa: T201 - a command says what it found
    sys.exit(result.status)
