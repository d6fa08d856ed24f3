"""What the tests of several real processes share: instances of one federation, and ways to compare them."""
import json
import os
import time

from cli_case import PATIENCE_S, Case


class Peers(Case):
    """More instances beside `alpha`, in its federation."""

    def instance(self, name):
        """A new instance; returns its directory."""
        return self.join(name)

    scheme = ""

    def serve(self, dir, *args):
        """A process that serves, and its endpoint."""
        process = self.start("--json", "serve", "--listen", self.scheme + "127.0.0.1:0", *args, dir=dir)
        return process, json.loads(self.line_of(process))["listening"]

    def sync(self, dir, endpoint):
        """One round that must end with equal states."""
        report = self.ok("sync", endpoint, "--timeout", "60s", dir=dir)
        self.assertIs(report["converged"], True, report)
        return report["peers"][0]

    def write_many(self, dir, texts, segment="lessons_learned"):
        """Writes records in one command; returns their ids."""
        lines = [json.dumps({"packet_type": "event", "segment": segment, "payload": {"text": text}}) for text in texts]
        done = self.ok("remember", "--batch", "-", stdin="\n".join(lines), dir=dir)
        self.assertEqual(done["written"], len(texts))
        return [item["id"] for item in done["items"]]

    def forget_many(self, dir, ids):
        done = self.run_loam("--json", "forget", "--batch", "-", stdin="\n".join(ids), dir=dir)
        self.assertEqual(done.returncode, 0, done.stderr[:500])

    def records(self, dir):
        """Every record of the shared segments: id → text."""
        done = self.run_loam("export", dir=dir)
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        found = {line["id"]: line["packet"]["payload"]["text"] for line in lines if "packet" in line}
        self.assertEqual(len(found), sum("packet" in line for line in lines), "a record twice")
        return found

    def digest(self, dir):
        return self.ok("digest", dir=dir)

    def assert_equal_instances(self, *dirs):
        digests = [self.digest(dir) for dir in dirs]
        for other in digests[1:]:
            self.assertEqual(digests[0], other)

    def until(self, holds, what):
        """Waits for a condition, not for a time."""
        end = time.monotonic() + PATIENCE_S
        while not holds():
            self.assertLess(time.monotonic(), end, what)
            time.sleep(0.002)

    def octets(self, dir):
        """Every octet of every file of an instance."""
        found = []
        for root, _, names in os.walk(dir):
            for name in names:
                with open(os.path.join(root, name), "rb") as file:
                    found.append(file.read())
        return b"".join(found)
