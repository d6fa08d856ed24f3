#!/usr/bin/python3
"""SIGKILL at any moment: what was acknowledged is there, nothing is there by half.

KILLS=n: how often, over all tests. SEED=n: the same choices again (what the processes have reached when they
are killed is up to the machine).
"""
import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time
import unittest

from cli_case import LOAM, RUNS_FACTOR
from peers_case import Peers

KILLS = int(os.environ.get("KILLS") or max(20, 500 * RUNS_FACTOR))
SEED = int(os.environ.get("SEED", "0")) or random.randrange(1, 1 << 32)
BATCH = 40  # records of one atomic batch
COPIED = 1500 if RUNS_FACTOR >= 1 else 600
IMPORTED = 2500 if RUNS_FACTOR >= 1 else 1100
GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden", "store-v1")
IMPORT_GROUP = 1000  # lines that `import` writes in one transaction


class Writers:
    """Threads that run one command after the other in one directory and note what was acknowledged."""

    def __init__(self, case):
        self.case = case
        self.lock = threading.Lock()
        self.running = set()
        self.acknowledged = {}
        self.batches = set()
        self.kills = 0
        self.ending = threading.Event()
        self.threads = [threading.Thread(target=self.write, args=(number,)) for number in range(3)]
        self.threads.append(threading.Thread(target=self.write_batches))
        for thread in self.threads:
            thread.start()

    def run(self, arguments, stdin=b""):
        """The object that the command printed; None when it was killed."""
        process = subprocess.Popen([LOAM, "-C", self.case.dir, "--json", *arguments], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=self.case.env)
        with self.lock:
            self.running.add(process)
        out, _ = process.communicate(stdin)
        with self.lock:
            self.running.discard(process)
            self.kills += process.returncode == -9
        return json.loads(out) if process.returncode == 0 else None

    def write(self, number):
        count = 0
        while not self.ending.is_set():
            text = f"writer {number} record {count}"
            receipt = self.run(["remember", "--", text])
            if receipt:
                with self.lock:
                    self.acknowledged[receipt["id"]] = text
            count += 1

    def write_batches(self):
        number = 0
        while not self.ending.is_set():
            lines = [json.dumps({"packet_type": "lesson", "payload": {"text": f"batch {number} {i}"}})
                     for i in range(BATCH)]
            if self.run(["remember", "--batch", "-", "--atomic"], "\n".join(lines).encode()):
                with self.lock:
                    self.batches.add(number)
            number += 1

    def count(self):
        with self.lock:
            return len(self.acknowledged) + len(self.batches)

    def kill(self):
        with self.lock:
            for process in self.running:
                process.kill()

    def end(self):
        self.ending.set()
        for thread in self.threads:
            thread.join()


class Crash(Peers):
    def setUp(self):
        super().setUp()
        self.random = random.Random(SEED)
        self.kills = 0
        self.begun = time.monotonic()
        print(f"again: KILLS={KILLS} SEED={SEED} LOAM={LOAM} /usr/bin/python3 {sys.argv[0]} {self.name()}", flush=True)

    def name(self):
        return self.id().removeprefix("__main__.")

    def share(self, hundredths):
        """How many of the kills are this test's."""
        return max(2, KILLS * hundredths // 100)

    def tell(self, what=""):
        seconds = time.monotonic() - self.begun
        print(f"{self.name()}: {self.kills} killed in {seconds:.0f} s{what}", flush=True)

    def kill(self, *processes):
        """Kills them all, then waits; counts those that had not ended by themselves."""
        for process in processes:
            process.kill()
        for process in processes:
            self.kills += process.wait() == -9
            process.stdout.close()
            process.stderr.close()

    def kill_within(self, process, seconds):
        """At a random moment of what it usually takes. Whether that was before its end."""
        before = self.kills
        time.sleep(self.random.uniform(0, seconds))
        self.kill(process)
        return self.kills > before

    def test_what_was_acknowledged_survives_and_nothing_is_there_by_half(self):
        writers = Writers(self)
        try:
            while writers.kills < self.share(60):
                wanted = writers.count() + self.random.randint(1, 4)
                self.until(lambda: writers.count() >= wanted, "nothing is acknowledged any more")
                writers.kill()
        finally:
            writers.end()
        self.kills = writers.kills
        found = self.records(self.dir)
        for id, text in writers.acknowledged.items():
            self.assertEqual(found.get(id), text)
        batches = {}
        for text in found.values():
            kind, number, *_ = text.split()
            if kind == "batch":
                batches[int(number)] = batches.get(int(number), 0) + 1
        self.assertEqual(set(batches.values()), {BATCH}, "part of an atomic batch")
        self.assertLessEqual(writers.batches, set(batches))
        self.assertEqual(self.ok("status")["segments"]["lessons_learned"]["records"], len(found))
        # Another instance computes the state anew from the records: the same hash.
        _, endpoint = self.serve(self.dir)
        other = self.instance("other")
        self.sync(other, endpoint)
        self.assert_equal_instances(self.dir, other)
        self.assertEqual(self.records(other), found)
        self.tell()

    def wait_for_commits(self, dir, count, process):
        """Until the data file of an instance was written that often, or the process has ended."""
        path = os.path.join(dir, "shared", "data.mdb")
        seen = set()

        def is_enough():
            seen.add(os.stat(path).st_mtime_ns)
            return len(seen) > count or process.poll() is not None

        self.until(is_enough, "nothing is written")

    def test_a_first_copy_that_is_killed_again_and_again_ends_equal(self):
        self.write_many(self.dir, [f"original {i} " + "." * 900 for i in range(COPIED)])
        server, endpoint = self.serve(self.dir)
        halfway = copies = before = 0
        copy = None
        while self.kills < self.share(25):
            if copy is None:
                copy = self.instance(f"copy{copies}")
                copies += 1
                before = len(self.write_many(copy, [f"copy {copies} {i}" for i in range(20)]))
            syncing = self.start("--json", "sync", endpoint, "--timeout", "60s", dir=copy)
            self.wait_for_commits(copy, self.random.randint(1, 4), syncing)
            role = self.random.choice(["client", "server", "both"])
            if role == "client":
                self.kill(syncing)
            else:
                self.kill(*([server, syncing] if role == "both" else [server]))
                self.assertIn(syncing.wait(), (0, 6, -9), "the peer died: unavailable, or it was done")
                server, endpoint = self.serve(self.dir)
            now = self.count(copy)
            self.assertGreaterEqual(now, before)
            halfway += 20 < now < COPIED
            before = now
            if self.random.random() < 0.3:
                self.finish(copy, endpoint)
                copy = None
        if copy:
            self.finish(copy, endpoint)
        self.assertEqual(self.count(self.dir), COPIED + 20 * copies)
        self.tell(f", {halfway} of them in the middle, {copies} copies")

    def finish(self, copy, endpoint):
        """What such a copy is good for; it is not needed any more."""
        self.sync(copy, endpoint)
        self.assert_equal_instances(copy, self.dir)
        shutil.rmtree(copy)

    def count(self, dir):
        return self.ok("status", dir=dir)["segments"]["lessons_learned"]["records"]

    def test_an_import_that_is_killed_is_there_by_whole_transactions_and_can_be_repeated(self):
        self.write_many(self.dir, [f"exported {i}" for i in range(IMPORTED)])
        exported = self.path("exported.jsonl", self.run_loam("export").stdout)
        begun = time.monotonic()
        self.ok("import", exported, dir=self.instance("whole"))
        usual = time.monotonic() - begun
        expected = self.records(self.dir)
        halfway = copies = before = 0
        copy = None
        while self.kills < self.share(4):
            if copy is None:
                copy = self.instance(f"copy{copies}")
                copies += 1
                before = 0
            importing = self.start("--json", "import", exported, dir=copy)
            self.kill_within(importing, usual)
            now = self.count(copy)
            self.assertIn(now, [*range(0, IMPORTED, IMPORT_GROUP), IMPORTED])
            self.assertGreaterEqual(now, before)
            halfway += 0 < now < IMPORTED
            before = now
            if now == IMPORTED or self.random.random() < 0.2:
                self.ok("import", exported, dir=copy)
                self.assertEqual(self.records(copy), expected)
                shutil.rmtree(copy)
                copy = None
        self.tell(f", {halfway} of them in the middle")

    def test_a_journal_that_is_dropped_and_killed_costs_no_record(self):
        self.write_many(self.dir, [f"record {i}" for i in range(300)])
        peer = self.instance("peer")
        _, endpoint = self.serve(peer)
        self.sync(self.dir, endpoint)
        written = 300
        begun = time.monotonic()
        self.ok("journal", "--drop")
        usual = time.monotonic() - begun
        while self.kills < self.share(7):
            self.remember(f"later {written}")
            written += 1
            self.kill_within(self.start("--json", "journal", "--drop"), usual)
            self.assertEqual(self.count(self.dir), written)
            if self.random.random() < 0.2:
                self.sync(self.dir, endpoint)
                self.assert_equal_instances(self.dir, peer)
        self.sync(self.dir, endpoint)
        self.assert_equal_instances(self.dir, peer)
        self.assertEqual(self.records(peer), self.records(self.dir))
        self.tell()

    def first_format(self, dir):
        """An instance directory as a release of store format 1 left it."""
        for part in ("shared", "private"):
            os.makedirs(os.path.join(dir, part), mode=0o700)
            shutil.copy(os.path.join(GOLDEN, part + ".mdb"), os.path.join(dir, part, "data.mdb"))
        shutil.copy(os.path.join(GOLDEN, "identity.key"), dir)
        with open(os.path.join(dir, "config.toml"), "w"):
            pass
        for path in ("shared/data.mdb", "private/data.mdb", "identity.key", "config.toml"):
            os.chmod(os.path.join(dir, path), 0o600)
        os.chmod(dir, 0o700)

    def test_an_upgrade_that_is_killed_leaves_a_store_that_opens_with_what_it_had(self):
        with open(os.path.join(GOLDEN, "digest.txt")) as file:
            expected = dict(line.split() for line in file)
        dir = os.path.join(self.dir, "old")
        self.first_format(dir)
        begun = time.monotonic()
        self.ok("digest", dir=dir)
        usual = time.monotonic() - begun
        upgraded = 0
        while self.kills < self.share(4):
            shutil.rmtree(dir)
            self.first_format(dir)
            self.kill_within(self.start("--json", "digest", dir=dir), usual)
            with open(os.path.join(dir, "shared", "data.mdb"), "rb") as file:
                upgraded += b"held" in file.read()
            self.assertEqual(self.ok("digest", dir=dir), expected)
            self.ok("verify", "--deep", dir=dir)
        self.tell(f", {upgraded} of them after the upgrade")


if __name__ == "__main__":
    unittest.main()
