#!/usr/bin/python3
"""SIGKILL at any moment: what was acknowledged is there, nothing is there by half. KILLS=n: how often."""
import json
import os
import random
import subprocess
import threading
import unittest

from cli_case import LOAM
from peers_case import Peers

KILLS = int(os.environ.get("KILLS", "20"))
SEED = int(os.environ.get("SEED", "0")) or random.randrange(1, 1 << 32)
BATCH = 40  # records of one atomic batch
COPIED = 4000


class Writers:
    """Threads that run one command after the other in one directory and note what was acknowledged."""

    def __init__(self, case):
        self.case = case
        self.lock = threading.Lock()
        self.running = set()
        self.acknowledged = {}
        self.batches = set()
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
        print(f"SEED={SEED} KILLS={KILLS}", flush=True)

    def test_what_was_acknowledged_survives_and_nothing_is_there_by_half(self):
        writers = Writers(self)
        try:
            for _ in range(KILLS):
                wanted = writers.count() + self.random.randint(1, 6)
                self.until(lambda: writers.count() >= wanted, "nothing is acknowledged any more")
                writers.kill()
        finally:
            writers.end()
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
        halfway = 0
        copy = None
        own = 0
        for kill in range(KILLS):
            if copy is None:
                copy = self.instance(f"copy{kill}")
                self.write_many(copy, [f"copy {kill} {i}" for i in range(20)])
                own += 20
            before = self.count(copy)
            syncing = self.start("--json", "sync", endpoint, "--timeout", "60s", dir=copy)
            self.wait_for_commits(copy, self.random.randint(1, 4), syncing)
            if self.random.random() < 0.5:
                syncing.kill()
                syncing.wait()
            else:
                server.kill()
                server.wait()
                self.assertIn(syncing.wait(), (0, 6), "the peer died: unavailable, or it was done")
                server, endpoint = self.serve(self.dir)
            now = self.count(copy)
            self.assertGreaterEqual(now, before)
            halfway += 20 < now < COPIED
            self.assertGreaterEqual(self.count(self.dir), COPIED)
            if self.random.random() < 0.5:
                self.finish(copy, endpoint)
                copy = None
        if copy:
            self.finish(copy, endpoint)
        self.assertEqual(self.count(self.dir), COPIED + own)
        print(f"{halfway} of {KILLS} killed in the middle", flush=True)

    def finish(self, copy, endpoint):
        self.sync(copy, endpoint)
        self.assert_equal_instances(copy, self.dir)
        self.assertEqual(self.count(copy), self.count(self.dir))

    def count(self, dir):
        return self.ok("status", dir=dir)["segments"]["lessons_learned"]["records"]


if __name__ == "__main__":
    unittest.main()
