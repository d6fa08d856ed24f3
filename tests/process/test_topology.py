#!/usr/bin/python3
"""Real processes that meet through others: hubs, chains, returns after a long absence."""
import json
import os
import unittest

from cli_case import RUNS_FACTOR
from peers_case import Peers

MANY = 4000 if RUNS_FACTOR >= 1 else 2400  # half of them is more than silence may remove


class Hubs(Peers):
    def test_two_that_are_never_online_together_meet_through_a_hub(self):
        hub, gamma = self.instance("hub"), self.instance("gamma")
        mine = self.write_many(self.dir, [f"alpha {i}" for i in range(50)])
        self.write_many(gamma, [f"gamma {i}" for i in range(50)])
        self.ok("put", "governance_meta", "owner", '"alpha"')
        _, endpoint = self.serve(hub)
        self.sync(self.dir, endpoint)
        self.sync(gamma, endpoint)
        self.forget_many(gamma, mine[:10])
        self.sync(gamma, endpoint)
        self.sync(self.dir, endpoint)
        self.assert_equal_instances(self.dir, hub, gamma)
        self.assertEqual(len(self.records(self.dir)), 90)
        self.assertEqual(self.ok("show", "governance_meta", "owner", dir=gamma)["author"], "alpha")

    def test_two_hubs_pass_everything_on_in_both_directions(self):
        first, second, gamma = self.instance("first"), self.instance("second"), self.instance("gamma")
        _, first_endpoint = self.serve(first)
        with open(os.path.join(second, "config.toml"), "w") as config:
            config.write(f'endpoints = ["{first_endpoint}"]\n')
        _, second_endpoint = self.serve(second, "--every", "200ms")
        self.write_many(self.dir, [f"alpha {i}" for i in range(50)])
        self.sync(self.dir, first_endpoint)
        self.write_many(gamma, [f"gamma {i}" for i in range(50)])
        self.until(lambda: "gamma" in [one["name"] for one in self.ok("peers", dir=second)["members"]],
                   "the second hub does not hear who gamma is")
        self.sync(gamma, second_endpoint)
        for hub in (first, second):
            self.until(lambda: len(self.records(hub)) == 100, f"{hub} does not hear of it")
        self.sync(self.dir, first_endpoint)
        self.sync(gamma, second_endpoint)
        self.assertEqual(len(self.records(self.dir)), 100)
        self.assertEqual(self.records(self.dir), self.records(gamma))
        lessons = [self.digest(dir)["lessons_learned"] for dir in (self.dir, first, second, gamma)]
        self.assertEqual(len(set(lessons)), 1)

    def test_a_write_is_pushed_through_a_hub_to_a_third_and_its_removal_too(self):
        hub, gamma = self.instance("hub"), self.instance("gamma")
        _, endpoint = self.serve(hub)
        self.start("--json", "sync", "--watch", endpoint)
        watching = self.start("--json", "sync", "--watch", endpoint, dir=gamma)
        id = self.remember("news")
        told = []
        while id not in told:
            told += json.loads(self.line_of(watching))["ids"]
        self.assertEqual(self.ok("get", id, dir=gamma)["authors"], ["alpha"])
        self.ok("forget", id)
        removed = 0
        while removed == 0:
            change = json.loads(self.line_of(watching))
            removed = change["removed"] if change["segment"] == "lessons_learned" else 0
        self.fails(3, "not_found", "get", id, dir=gamma)


class Absence(Peers):
    """Half of many records is removed on one side while the other is away."""

    def setUp(self):
        super().setUp()
        self.beta = self.instance("beta")
        self.ids = self.write_many(self.dir, [f"record {i}" for i in range(MANY)])
        with_server, endpoint = self.serve(self.dir)
        self.sync(self.beta, endpoint)
        self.stop(with_server)
        self.assert_equal_instances(self.dir, self.beta)
        self.forget_many(self.dir, self.ids[::2])
        self.write_many(self.beta, [f"away {i}" for i in range(20)])

    def meet(self, dialled, dialler):
        _, endpoint = self.serve(dialled)
        self.sync(dialler, endpoint)
        self.assert_equal_instances(self.dir, self.beta)
        found = self.records(self.beta)
        self.assertEqual(len(found), MANY // 2 + 20)
        self.assertTrue(set(self.ids[1::2]) <= set(found))

    def test_the_one_that_was_away_dials(self):
        self.meet(self.dir, self.beta)

    def test_the_one_that_removed_dials(self):
        self.meet(self.beta, self.dir)

    def test_without_any_journal_the_contexts_say_it_all(self):
        for dir in (self.dir, self.beta):
            self.ok("journal", "--drop", dir=dir)
        with open(os.path.join(self.beta, "config.toml"), "w") as config:
            config.write(f"[sync]\nsilent_removals_max = {MANY}\n")
        self.meet(self.dir, self.beta)

    def test_a_removal_that_only_silence_tells_waits_to_be_confirmed(self):
        for dir in (self.dir, self.beta):
            self.ok("journal", "--drop", dir=dir)
        server, endpoint = self.serve(self.dir)
        for _ in range(2):
            done = self.run_loam("--json", "sync", endpoint, dir=self.beta)
            self.assertEqual(done.returncode, 1, done.stderr)
            peer = json.loads(done.stdout)["peers"][0]
            self.assertIn("until confirmed", peer["error"])
            self.assertEqual(peer["segments"]["lessons_learned"]["held"], MANY // 2)
            self.assertEqual(len(self.records(self.beta)), MANY + 20)
            self.assertEqual(len(self.records(self.dir)), MANY // 2 + 20)
            held = self.ok("peers", dir=self.beta)["held"]
            self.assertEqual([(item["peer"], item["records"]) for item in held], [("alpha", MANY // 2)])
        self.assertEqual(self.ok("peers", "list", dir=self.dir)["held"], [])
        # Every later process tells what alarmed those, and an alarm that comes back is one.
        alarms = self.ok("status", dir=self.beta)["alarms"]
        alarm, = [alarm for alarm in alarms if "alpha has removed" in alarm["text"]]
        self.assertEqual(alarm["count"], 2)
        self.assertLessEqual(alarm["first_ms"], alarm["last_ms"])
        self.assertIn(b"alarm: ", self.run_loam("status", dir=self.beta).stdout)
        states = {item["state"] for item in self.ok("doctor", dir=self.beta)["items"]}
        self.assertLessEqual({"alarm", "held_removal"}, states)
        self.fails(3, "not_found", "peers", "confirm-removal", "gamma", dir=self.beta)
        done = self.ok("peers", "confirm-removal", "alpha", dir=self.beta)
        self.assertEqual(done["removed"], MANY // 2)
        self.fails(3, "not_found", "peers", "confirm-removal", "alpha", dir=self.beta)
        self.sync(self.beta, endpoint)
        self.assert_equal_instances(self.dir, self.beta)


class Isolation(Peers):
    def test_what_is_private_is_in_no_file_of_another_instance(self):
        canary = "canary-4471"
        hub, beta = self.instance("hub"), self.instance("beta")  # whoever comes later knows who was there
        _, endpoint = self.serve(hub)
        for dir in (self.dir, beta):
            self.remember(f"{canary} history", "-s", "project_history", dir=dir)
            self.remember(f"{canary} trace", "-s", "task_traces", "--thread", canary, dir=dir)
            self.ok("put", "session_context", canary, json.dumps(canary), dir=dir)
            self.ok("put", "instance_config", "k", json.dumps({canary: canary}), dir=dir)
            self.remember("shared-4471", dir=dir)
            self.sync(dir, endpoint)
        self.sync(self.dir, endpoint)
        self.assert_equal_instances(self.dir, beta, hub)
        self.assertIn(b"shared-4471", self.octets(hub))
        self.assertNotIn(canary.encode(), self.octets(hub))
        for dir in (self.dir, beta):
            self.assertNotIn(canary.encode(), self.octets(os.path.join(dir, "shared")))
            self.assertIn(canary.encode(), self.octets(os.path.join(dir, "private")))
            self.assertNotIn(canary.encode(), self.run_loam("export", dir=dir).stdout)


if __name__ == "__main__":
    unittest.main()
