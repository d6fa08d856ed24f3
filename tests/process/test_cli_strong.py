"""Strong reads and writes of real processes: majorities, killed voters, and what the exit codes say."""
import json
import os
import shutil
import signal
import time
import unittest

from cli_case import PATIENCE_S
from peers_case import Peers

RULE = {"id": "deploy", "effect": "deny", "actions": ["deploy"]}


class Strong(Peers):
    """alpha, beta and gamma, which serve, know where the others listen, and vote."""

    def setUp(self):
        super().setUp()
        self.serving = {}
        self.dirs = {"alpha": self.dir, "beta": self.instance("beta"), "gamma": self.instance("gamma")}
        for name, dir in self.dirs.items():
            self.serving[name], endpoint = self.serve(dir)
            self.ok("peers", "grant", name, "--listens", endpoint)
            if name != "alpha":
                self.sync(self.dir, endpoint)
                granted = self.ok("peers", "grant", name, "--voter")
                self.assertTrue(granted["voters"]["sealed"], granted)
        self.assertEqual(self.ok("status")["voters"], {"epoch": 2, "sealed": True, "disputed": False,
                                                       "names": ["alpha", "beta", "gamma"], "lost": []})

    def kill(self, name):
        self.serving[name].send_signal(signal.SIGKILL)
        self.serving[name].wait(timeout=PATIENCE_S)

    def strong(self, *args, dir=None, **kwargs):
        return self.ok(*args, "--strong", "--timeout", "60s", dir=dir, **kwargs)

    def set_rule(self, effect, dir):
        self.strong("rules", "set", "-", stdin=json.dumps({**RULE, "effect": effect}), dir=dir)

    def effect(self, dir, *args):
        done = self.run_loam("--json", "rules", "check", "deploy", *args, dir=dir)
        return json.loads(done.stdout).get("effect"), done.returncode

    def test_killing_one_changes_nothing_and_killing_two_ends_in_6_in_time(self):
        self.set_rule("deny", self.dirs["beta"])
        for dir in self.dirs.values():
            self.assertEqual(self.effect(dir, "--strong", "--timeout", "60s"), ("deny", 4))
        self.kill("gamma")
        self.set_rule("notify", self.dirs["alpha"])
        for name in ("alpha", "beta"):
            self.assertEqual(self.effect(self.dirs[name], "--strong", "--timeout", "60s"), ("notify", 0))
        # Its own replica alone would still say what was before.
        self.assertEqual(self.effect(self.dirs["gamma"], "--strong", "--timeout", "60s"), ("notify", 0))
        self.kill("beta")
        begun = time.monotonic()
        error = self.fails(6, "unavailable", "rules", "check", "deploy", "--strong", "--timeout", "500ms")
        self.assertLess(time.monotonic() - begun, PATIENCE_S / 2)
        self.assertIn("beta not reached", error["message"])
        error = self.fails(6, "unavailable", "rules", "set", "-", "--strong", "--timeout", "500ms", stdin=json.dumps(RULE))
        self.assertIn("nothing was written", error["message"])
        self.assertEqual(self.effect(self.dir), ("notify", 0))
        self.fails(6, "unavailable", "show", "approval_rules", "deploy", "--strong", "--timeout", "500ms")
        done = self.run_loam("--json", "sync", "--strong", "--timeout", "500ms")
        self.assertEqual(done.returncode, 6)
        self.assertFalse(json.loads(done.stdout)["strong"]["done"])
        # They come back with what they had.
        self.serve_again("beta")
        self.assertEqual(self.effect(self.dir, "--strong", "--timeout", "60s"), ("notify", 0))

    def member(self, name):
        return next(member for member in self.ok("peers", "list")["members"] if member["name"] == name)

    def endpoint_of(self, name):
        return self.member(name)["endpoints"][0]

    def serve_again(self, name):
        """Where it was before."""
        address = self.endpoint_of(name).removeprefix("ws://")
        self.serving[name] = self.start("--json", "serve", "--listen", address, dir=self.dirs[name])
        self.line_of(self.serving[name])

    def test_a_stopped_voter_leaves_the_outcome_of_a_write_unknown(self):
        self.kill("gamma")
        self.serving["beta"].send_signal(signal.SIGSTOP)
        try:
            done = self.run_loam("--json", "put", "governance_meta", "roles", '{"sre": ["bob"]}', "--strong", "--timeout", "1s")
        finally:
            self.serving["beta"].send_signal(signal.SIGCONT)
        self.assertEqual(done.returncode, 6)
        answer = json.loads(done.stdout)
        self.assertEqual(answer["error"]["code"], "unavailable")
        # Where the stopped one could not even be linked with, nothing was written.
        if "nothing was written" not in answer["error"]["message"]:
            self.assertEqual(answer["outcome"], "unknown")
            self.assertEqual(self.strong("show", "governance_meta", "roles")["value"], {"sre": ["bob"]})

    def test_a_voter_that_hangs_keeps_nobody_from_agreeing_or_changing_the_voters(self):
        self.serving["gamma"].send_signal(signal.SIGSTOP)
        try:
            done = self.run_loam("--json", "sync", "--strong", "--timeout", "3s")
            self.assertEqual(done.returncode, 1, done.stdout)  # one of the endpoints did not answer
            self.assertTrue(json.loads(done.stdout)["strong"]["done"])
            granted = self.ok("peers", "grant", "gamma", "--no-voter", "--timeout", "3s")
            self.assertEqual((granted["voters"]["names"], granted["voters"]["sealed"]), (["alpha", "beta"], True))
        finally:
            self.serving["gamma"].send_signal(signal.SIGCONT)

    def test_a_voter_without_its_store_votes_once_it_is_granted_again(self):
        self.kill("gamma")
        shutil.rmtree(os.path.join(self.dirs["gamma"], "shared"))
        file = self.path("federation")
        with open(file, "wb") as to:
            to.write(self.federation())
        self.ok("doctor", "--fix", "--name", "gamma", "--federation", file, dir=self.dirs["gamma"])
        self.serve_again("gamma")
        self.sync(self.dirs["gamma"], self.endpoint_of("alpha"))
        self.until(lambda: self.ok("status")["voters"]["lost"] == ["gamma"], "alpha knows that gamma has another store")
        self.kill("beta")
        self.fails(6, "unavailable", "rules", "check", "deploy", "--strong", "--timeout", "500ms")
        self.serve_again("beta")
        granted = self.ok("peers", "grant", "gamma", "--voter", "--timeout", "60s")
        self.assertEqual((granted["voters"]["epoch"], granted["voters"]["lost"]), (3, []))

    def federation(self):
        """What a new instance is given, by way of an admission that changes nothing."""
        key = self.member("gamma")["public_key"]
        endpoint = self.endpoint_of("gamma")
        done = self.run_loam("admit", "gamma", key, "--allow", "all=rwtl", "--role", "governor", "--voter", "--listens", endpoint,
                             "--out", "-")
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def test_a_periodic_sync_goes_on_until_it_is_stopped(self):
        process = self.start("--json", "sync", "--strong", "--every", "100ms", dir=self.dirs["beta"])
        for _ in range(3):
            self.assertTrue(json.loads(self.line_of(process))["strong"]["done"])
        self.stop(process)
        self.fails(2, "invalid", "sync", "--watch", "--every", "1s")
        self.fails(2, "invalid", "sync", "--every", "0s")

    def test_who_votes_is_changed_one_at_a_time(self):
        for name in ("beta", "gamma"):
            self.kill(name)
        error = self.fails(6, "unavailable", "peers", "grant", "beta", "--no-voter", "--timeout", "500ms")
        self.assertIn("begun and not ended", error["message"])
        self.assertFalse(self.ok("status")["voters"]["sealed"])
        self.fails(6, "unavailable", "peers", "grant", "gamma", "--no-voter", "--timeout", "500ms")
        self.fails(2, "invalid", "peers", "grant", "gamma", "--force")
        forced = self.ok("peers", "grant", "gamma", "--no-voter", "--force")
        self.assertEqual((forced["voters"]["names"], forced["voters"]["sealed"]), (["alpha"], True))
        self.fails(2, "invalid", "peers", "grant", "alpha", "--no-voter")
        self.strong("rules", "set", "-", stdin=json.dumps(RULE))


if __name__ == "__main__":
    unittest.main()
