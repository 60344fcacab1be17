"""``python -m benchmarks.faults [-n N] [--seed S] [--synapses M]``: balance while processes die."""

from __future__ import annotations

import argparse
import sys

from benchmarks.faults import TOLERANCE, kills


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.faults", description=kills.__doc__)
    parser.add_argument("-n", type=int, default=20, metavar="N", help="repetitions")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--synapses", type=int, default=kills.SYNAPSES)
    chosen = parser.parse_args()
    worst, number = 0.0, 0
    for each in kills.repetitions(chosen.n, chosen.seed, chosen.synapses):
        killed = ", ".join(each.killed) or "nobody, it was over"
        print(f"killed {killed}; |Δh| ≤ {each.difference:.1e}", flush=True)
        worst, number = max(worst, each.difference), number + len(each.killed)
    print(f"{number} processes killed; |Δh| ≤ {worst:.1e} (at most {TOLERANCE:.0e} is asked for)")
    sys.exit(not worst <= TOLERANCE)


if __name__ == "__main__":
    main()
