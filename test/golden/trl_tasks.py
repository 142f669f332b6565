"""Runs the programs of several tunings in one process, which loads PyTorch and TRL once. Called by test/e2e/trl.test.ts.

    python trl_tasks.py FOLDER...
"""

import runpy
import sys


def main(folders: list[str]) -> None:
    for folder in folders:
        try:
            runpy.run_path(f"{folder}/tune.py", run_name="__main__")
        except SystemExit as end:
            if end.code != 0:
                raise RuntimeError(f"{folder} ended with {end.code}") from end


if __name__ == "__main__":
    main(sys.argv[1:])
