"""The code block of README.md is the program that the tests compile, and it does what it says.

With the paths of the programs in LOAM and README_PROGRAM it is also run: alone, then beside another
instance whose lesson it finds after one round.
"""
import json
import os
import pathlib
import re
import subprocess
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def program_text():
    source = (ROOT / "tests/lib/readme_program.cpp").read_text(encoding="utf-8")
    return source.split("// --- readme\n", 1)[1].split("// --- end\n", 1)[0]


def run(directory, *arguments):
    done = subprocess.run(arguments, cwd=directory, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done
    return done.stdout


class Readme(unittest.TestCase):
    def test_the_code_block_is_the_program(self):
        readme = (ROOT / "README.md").read_text(encoding="utf-8")
        blocks = re.findall(r"^```cpp\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
        self.assertEqual(blocks, [program_text()])

    @unittest.skipUnless("README_PROGRAM" in os.environ, "README_PROGRAM is not set")
    def test_the_program_remembers_and_finds_what_another_instance_learnt(self):
        program, loam = os.environ["README_PROGRAM"], os.environ["LOAM"]
        own = "alpha: Retry 429 with jitter; fixed sleeps synchronise the herd\n"
        with tempfile.TemporaryDirectory() as directory:
            self.assertEqual(run(directory, program), own)
            key = json.loads(run(directory, loam, "--json", "-C", "beta", "id", "--make"))["public_key"]
            run(directory, loam, "-C", "alpha", "admit", "beta", key, "--allow", "all=rw", "--out", "federation")
            run(directory, loam, "-C", "beta", "join", "--federation", "federation", "--name", "beta")
            run(directory, loam, "-C", "beta", "remember", "Cap every retry at 30 s")
            serving = subprocess.Popen(
                [loam, "-C", "beta", "serve", "--listen", "127.0.0.1:0"], cwd=directory,
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            try:
                endpoint = serving.stdout.readline().removeprefix("listening on ").strip()
                found = run(directory, program, endpoint)
                self.assertEqual(sorted(found.splitlines(keepends=True)),
                                 [own, "beta: Cap every retry at 30 s\n"])
                self.assertNotIn("goal", run(directory, loam, "-C", "beta", "export", "--private"))
            finally:
                serving.terminate()
                serving.communicate()


if __name__ == "__main__":
    unittest.main()
