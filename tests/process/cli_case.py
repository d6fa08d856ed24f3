"""What the tests of the command line share: a directory per test and ways to run the binary.

The path of the binary comes from the environment variable LOAM.
"""
import json
import os
import select
import signal
import socket
import subprocess
import tempfile
import unittest

if "LOAM" not in os.environ:
    raise SystemExit("LOAM: the path of the binary is not set")
LOAM = os.environ["LOAM"]
RUNS_FACTOR = float(os.environ.get("RUNS_FACTOR", "1"))  # below 1: everything is slow, as under a sanitizer
PATIENCE_S = 120  # for anything that ought to be immediate

RECEIPT = {"id", "segment", "scope", "target", "existing"}
RECORD = {"id", "segment", "type", "text", "title", "payload", "tags", "authors", "support", "created_ms",
          "updated_ms", "retracted", "supersedes", "provenance"}
COMMANDS = ["init", "id", "invite", "join", "admit", "remember", "recall", "get", "list", "revise", "forget", "put", "show", "keys", "erase",
            "route", "serve", "sync", "status", "digest", "verify", "doctor", "export", "import",
            "backup", "restore", "journal", "peers", "rules"]


# Ids of packets; the first two begin alike.
ID_A = "01jq3x8m00000000000000000a"
ID_B = "01jq3x8m00000000000000000b"
ID_C = "01zzzzzz00000000000000000c"


def lesson(text, **fields):
    return {"packet_type": "lesson", "payload": {"text": text}, **fields}


class Case(unittest.TestCase):
    """One temporary directory, with an instance `alpha` in it."""

    maxDiff = None

    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="loam-cli-")
        self.addCleanup(scratch.cleanup)
        self.scratch = scratch.name
        self.dir = os.path.join(self.scratch, "alpha")
        self.env = dict(os.environ, HOME=self.scratch)
        self.env.pop("LOAM_DIR", None)
        self.alpha = self.ok("init", "alpha")

    def join(self, name, dir=None):
        """A new instance in the federation of `alpha`, a governor like it; returns its directory."""
        dir = dir or self.path(name)
        key = self.ok("id", "--make", dir=dir)["public_key"]
        file = self.path(f"federation-of-{name}")
        self.ok("admit", name, key, "--allow", "all=rwtl", "--role", "governor", "--out", file)
        self.ok("join", "--federation", file, "--name", name, dir=dir)
        return dir

    def path(self, name, content=None):
        """A path in the temporary directory, with that content if any."""
        path = os.path.join(self.scratch, name)
        if content is not None:
            with open(path, "wb") as file:
                file.write(content if isinstance(content, bytes) else content.encode())
        return path

    def run_loam(self, *args, stdin=b"", dir=None, **options):
        """Runs the binary as people do."""
        stdin = stdin if isinstance(stdin, bytes) else stdin.encode()
        return subprocess.run([LOAM, "-C", dir or self.dir, *args], input=stdin, capture_output=True,
                              timeout=PATIENCE_S, env=self.env, **options)

    def run_json(self, code, *args, **options):
        """Runs with --json, expects that exit code, and returns the one object on standard output."""
        done = self.run_loam("--json", *args, **options)
        what = f"{args!r:.300}: {done.stdout[:500]!r} {done.stderr[:500]!r}"
        self.assertEqual(done.returncode, code, what)
        self.assertEqual(done.stdout.count(b"\n"), 1, what)
        answer = json.loads(done.stdout)
        self.assertIsInstance(answer, dict, what)
        return answer

    def ok(self, *args, **options):
        return self.run_json(0, *args, **options)

    def fails(self, code, name, *args, **options):
        """Expects an error object and something for people; returns the error."""
        done = self.run_loam("--json", *args, **options)
        what = f"{args!r:.300}: {done.returncode} {done.stdout[:500]!r} {done.stderr[:500]!r}"
        self.assertEqual(done.stdout.count(b"\n"), 1, what)
        error = json.loads(done.stdout)["error"]
        self.assertEqual((done.returncode, error["code"]), (code, name), what)
        self.assertLessEqual({"code", "message", "hint"}, set(error), what)
        self.assertNotEqual(done.stderr, b"", what)
        self.assertNotEqual(error["message"], "", what)
        return error

    def remember(self, text, *args, **options):
        return self.ok("remember", *args, "--", text, **options)["id"]

    def texts(self, *args, **options):
        """The texts of `list`, newest first."""
        return [item["text"] for item in self.ok("list", *args, **options)["items"]]

    def packet(self, packet, **options):
        """Arguments are those of `ok`, the packet goes through standard input."""
        return self.ok("remember", "--packet", "-", stdin=json.dumps(packet), **options)

    def packet_fails(self, code, name, packet):
        text = packet if isinstance(packet, (bytes, str)) else json.dumps(packet)
        return self.fails(code, name, "remember", "--packet", "-", stdin=text)

    def start(self, *args, dir=None):
        """A process that runs until it is stopped; ends with the test."""
        process = subprocess.Popen([LOAM, "-C", dir or self.dir, *args], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.env, bufsize=0)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def line_of(self, process):
        """The next line that the process prints, as text."""
        line = b""
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([process.stdout], [], [], PATIENCE_S)
            self.assertTrue(ready, "nothing was printed in time")
            octet = process.stdout.read(1)
            if octet == b"":
                self.fail(f"it ended: {process.wait()} {process.stderr.read()!r}")
            line += octet
        return line.decode().rstrip("\n")

    def stop(self, process, number=signal.SIGTERM):
        """The exit code after the signal."""
        process.send_signal(number)
        return process.wait(timeout=PATIENCE_S)

    def unused_endpoint(self):
        """An endpoint where nobody listens, kept so until the test ends."""
        holder = socket.socket()
        self.addCleanup(holder.close)
        holder.bind(("127.0.0.1", 0))
        return f"ws://127.0.0.1:{holder.getsockname()[1]}"
