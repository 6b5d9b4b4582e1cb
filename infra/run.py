"""Runs a command of scripts/ by its name: ``python -m infra.run NAME ARGUMENT...``.

An expected error ends the command with one sentence; Ctrl-C ends the command with exit code 130 and no traceback, also
while the command's modules are still being imported.
"""

import runpy
import sys

#: The module of each command.
MODULES = {
    "audit": "infra.audit",
    "bench": "tests.benchmarks",
    "clock": "infra.local.lab",
    "commits": "infra.commits",
    "conformance": "infra.conformance",
    "deploy": "infra.deployment.stacks",
    "docs": "infra.docs",
    "faults": "tests.faults",
    "lock": "infra.requirements",
    "migrate": "infra.operations.migration",
    "package": "infra.deployment.package",
    "pictures": "tests.pictures",
    "queues": "infra.operations.queues",
    "reconcile": "infra.operations.reconcile",
    "serve": "infra.server",
    "templates": "infra.deployment.lint",
    "up": "infra.local",
    "vendor": "infra.vendor",
    "verify": "infra.operations.verification",
    "webhooks": "infra.operations.webhooks",
}


def main(name: str, *arguments: str) -> None:
    """Run the command *name* as ``python -m`` would run its module."""
    try:
        # Imported here, so that Ctrl-C during this import is covered too.
        from infra.operations.failures import reporting  # noqa: PLC0415

        sys.argv[1:] = arguments
        with reporting(name):
            runpy.run_module(MODULES[name], run_name="__main__", alter_sys=True)
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main(*sys.argv[1:])
