"""Counts attempts to reach anything beyond this machine while a command runs, and refuses them.

    python benchmarks/egress.py --out docs/results/egress.json -- .venv/bin/python examples/demo.py

The command runs in a network namespace that has a loopback interface and nothing else, under ``strace``, which sees
every process and every library, C and C++ ones too. An attempt is a connect or a datagram to an address that is not
loopback, or a name look-up (a datagram to a resolver). Needs ``unshare``, ``ip`` and ``strace``.
"""

import argparse
import datetime as dt
import ipaddress
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CALL = re.compile(r"\b(connect|sendto|sendmsg|sendmmsg)\(")
ADDRESS = re.compile(r'(?:inet_addr\("|inet_pton\(AF_INET6, ")([0-9a-fA-F:.]+)')


def attempts(trace: str) -> list[str]:
    """The lines of a trace that reach for an address beyond loopback."""
    found = []
    for line in trace.splitlines():
        if not CALL.search(line):
            continue
        for text in ADDRESS.findall(line):
            address = ipaddress.ip_address(text)
            if not (address.is_loopback or address.is_unspecified):
                found.append(line.strip())
    return found


def main() -> int:
    """Runs the command and reports; exits 1 on any attempt, or with the command's own code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--out", type=Path)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    command = [part for part in options.command if part != "--"]
    for tool in ("unshare", "ip", "strace"):
        if shutil.which(tool) is None:
            print(f"egress: {tool} is not installed", file=sys.stderr)
            return 2
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace"
        inner = 'ip link set lo up && exec strace -f -qq -e trace=connect,sendto,sendmsg,sendmmsg -o "$0" "$@"'
        done = subprocess.run(
            ["unshare", "--map-root-user", "--net", "sh", "-c", inner, str(trace), *command], check=False
        )
        found = attempts(trace.read_text("utf-8", "replace"))
    result = {
        "command": " ".join(command),
        "exit_code": done.returncode,
        "attempts_beyond_loopback": len(found),
        "first": found[:10],
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "machine": f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }
    text = json.dumps(result, indent=2)
    print(text)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text + "\n", encoding="utf-8")
    return done.returncode or (1 if found else 0)


if __name__ == "__main__":
    sys.exit(main())
