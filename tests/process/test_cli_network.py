#!/usr/bin/python3
"""The command line: serve and sync between real processes."""
import json
import signal
import socket
import unittest

from cli_case import Case

PEER = {"endpoint", "name", "ok", "error", "round_trips", "bytes_sent", "bytes_received", "segments"}
TRAFFIC = {"sent", "received", "removed", "refused", "parked", "held"}


class Federation(Case):
    """Also an instance `beta` of the same federation."""

    def setUp(self):
        super().setUp()
        self.beta = self.join("beta")

    def serve(self, *args, dir=None):
        """A process that serves, and its endpoint."""
        process = self.start("--json", "serve", "--listen", "127.0.0.1:0", *args, dir=dir)
        return process, json.loads(self.line_of(process))["listening"]


class Serving(Federation):
    def test_the_first_line_tells_the_address(self):
        process = self.start("serve", "--listen", "127.0.0.1:0")
        self.assertRegex(self.line_of(process), r"^listening on ws://127\.0\.0\.1:[1-9]\d*$")
        self.assertEqual(self.stop(process, signal.SIGINT), 0)
        _, endpoint = self.serve()
        self.assertRegex(endpoint, r"^ws://127\.0\.0\.1:[1-9]\d*$")

    def test_both_signals_end_it_cleanly_also_twice(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            process, _ = self.serve()
            process.send_signal(number)
            self.assertEqual(self.stop(process, number), 0)

    def test_an_address_that_is_taken(self):
        taken = socket.socket()
        self.addCleanup(taken.close)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        self.fails(1, "failed", "serve", "--listen", f"127.0.0.1:{taken.getsockname()[1]}")

    def test_addresses_beyond_loopback_are_refused(self):
        for address in ["0.0.0.0:0", "[::]:0", "example.org:0", "x"]:
            self.fails(4, "denied", "serve", "--listen", address)

    def test_with_tls_every_interface_can_be_listened_on(self):
        process = self.start("--json", "serve", "--listen", "wss://0.0.0.0:0", "--announce", "wss://hub.example.org")
        endpoint = json.loads(self.line_of(process))["listening"]
        self.assertRegex(endpoint, r"^wss://0\.0\.0\.0:[1-9]\d*$")
        self.assertEqual(self.ok("peers")["members"][0]["endpoints"], ["wss://hub.example.org:7700"])
        port = endpoint.rpartition(":")[2]
        self.assertIs(self.ok("sync", f"wss://127.0.0.1:{port}", dir=self.beta)["converged"], True)
        self.assertIs(self.ok("sync", f"wss://localhost:{port}", dir=self.beta)["converged"], True)
        self.run_json(6, "sync", f"ws://127.0.0.1:{port}", dir=self.beta)

    def test_addresses_that_are_none(self):
        for address in ["", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:65536", "127.0.0.1:-1", ":7700",
                        "http://127.0.0.1:0"]:
            with self.subTest(address):
                self.fails(2, "invalid", "serve", "--listen", address)

    def test_commands_work_beside_a_serving_process(self):
        self.serve()
        id = self.remember("written beside")
        self.assertEqual(self.ok("get", id)["text"], "written beside")


class Syncing(Federation):
    def test_a_round_brings_both_into_step(self):
        from_alpha = self.remember("alpha learnt this", "-t", "a")
        from_beta = self.remember("beta learnt that", dir=self.beta)
        self.remember("the canary", "-s", "project_history", dir=self.beta)
        self.ok("put", "governance_meta", "owner", '"ops"', dir=self.beta)
        _, endpoint = self.serve()
        report = self.ok("sync", endpoint, dir=self.beta)
        self.assertIs(report["converged"], True)
        peer, = report["peers"]
        self.assertLessEqual(PEER, set(peer))
        self.assertEqual((peer["endpoint"], peer["name"], peer["ok"], peer["error"]), (endpoint, "alpha", True, ""))
        lessons = peer["segments"]["lessons_learned"]
        self.assertLessEqual(TRAFFIC, set(lessons))
        self.assertEqual((lessons["sent"], lessons["received"], lessons["refused"]), (1, 1, 0))
        self.assertGreater(min(peer["bytes_sent"], peer["bytes_received"], peer["round_trips"]), 0)
        self.assertEqual(self.ok("digest"), self.ok("digest", dir=self.beta))
        self.assertEqual(self.ok("get", from_beta)["authors"], ["beta"])
        found = self.ok("recall", "alpha learnt", dir=self.beta)["items"][0]["record"]
        self.assertEqual((found["id"], found["tags"], found["authors"]), (from_alpha, ["a"], ["alpha"]))
        self.assertEqual(self.ok("show", "governance_meta", "owner")["author"], "beta")
        self.assertEqual(self.ok("recall", "canary")["items"], [])
        self.assertEqual([peer["name"] for peer in self.ok("status", dir=self.beta)["peers"]], ["alpha"])

    def test_removals_travel_and_the_second_round_has_nothing_to_do(self):
        id = self.remember("short-lived")
        _, endpoint = self.serve()
        self.ok("sync", endpoint, dir=self.beta)
        self.ok("forget", id, dir=self.beta)
        self.ok("sync", endpoint, dir=self.beta)
        self.fails(3, "not_found", "get", id)
        segments = self.ok("sync", endpoint, dir=self.beta)["peers"][0]["segments"]
        for name, traffic in segments.items():
            self.assertEqual([traffic[what] for what in TRAFFIC], [0] * len(TRAFFIC), name)

    def test_concurrent_values_of_a_key_are_heads(self):
        self.ok("put", "governance_meta", "owner", '"ops"')
        self.ok("put", "governance_meta", "owner", '"dev"', dir=self.beta)
        _, endpoint = self.serve()
        self.ok("sync", endpoint, dir=self.beta)
        here = self.ok("show", "governance_meta", "owner", "--heads")
        self.assertEqual(here, self.ok("show", "governance_meta", "owner", "--heads", dir=self.beta))
        heads = {(head["value"], head["author"]) for head in here["heads"]}
        self.assertEqual(heads, {("ops", "alpha"), ("dev", "beta")})
        self.assertEqual(here["heads"][0]["value"], here["value"])
        self.ok("put", "governance_meta", "owner", '"both"')
        self.assertEqual(len(self.ok("show", "governance_meta", "owner", "--heads")["heads"]), 1)

    def test_nobody_reached_is_unavailable(self):
        answer = self.run_json(6, "sync", self.unused_endpoint(), "--timeout", "5s")
        self.assertEqual((answer["converged"], len(answer["peers"])), (False, 1))
        peer, = answer["peers"]
        self.assertLessEqual(PEER, set(peer))
        self.assertIs(peer["ok"], False)
        self.assertNotEqual(peer["error"], "")

    def test_no_endpoint_known_is_unavailable(self):
        self.assertEqual(self.run_json(6, "sync"), {"peers": [], "converged": False})
        self.fails(6, "unavailable", "sync", "--watch")

    def test_some_reached_is_a_failure(self):
        _, endpoint = self.serve()
        answer = self.run_json(1, "sync", endpoint, self.unused_endpoint(), "--timeout", "5s", dir=self.beta)
        self.assertEqual([peer["ok"] for peer in answer["peers"]], [True, False])
        self.assertIs(answer["converged"], False)

    def test_another_federation_is_untrusted(self):
        stranger = self.path("stranger")
        self.ok("init", "stranger", dir=stranger)
        self.remember("not for strangers")
        _, endpoint = self.serve()
        answer = self.run_json(9, "sync", endpoint, dir=stranger)
        self.assertIs(answer["peers"][0]["ok"], False)
        self.assertEqual(self.texts(dir=stranger), [])

    def test_a_silent_peer_costs_no_more_than_the_timeout(self):
        silent = socket.socket()
        self.addCleanup(silent.close)
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        answer = self.run_json(6, "sync", f"ws://127.0.0.1:{silent.getsockname()[1]}", "--timeout", "300ms")
        self.assertIs(answer["peers"][0]["ok"], False)

    def test_endpoints_that_are_none(self):
        for endpoint in ["", "http://127.0.0.1:1", "ws://", "ws://127.0.0.1:99999", "ws://127.0.0.1:x"]:
            with self.subTest(endpoint):
                peer, = self.run_json(2, "sync", endpoint)["peers"]
                self.assertEqual((peer["endpoint"], peer["ok"]), (endpoint, False))
                self.assertTrue(peer["error"].startswith("invalid"), peer)

    def test_endpoints_beyond_loopback_are_refused(self):
        peer, = self.run_json(4, "sync", "ws://example.org:7700")["peers"]
        self.assertTrue(peer["error"].startswith("denied"), peer)

    def test_watch_prints_what_arrives_until_a_signal(self):
        _, endpoint = self.serve()
        watching = self.start("--json", "sync", "--watch", endpoint, dir=self.beta)
        id = self.remember("news")
        ids = []
        while id not in ids:
            change = json.loads(self.line_of(watching))
            self.assertLessEqual({"segment", "ids", "removed"}, set(change))
            ids += change["ids"]
        self.assertEqual(self.ok("get", id, dir=self.beta)["text"], "news")
        self.assertEqual(self.stop(watching), 0)

    def test_people_read_a_report(self):
        self.remember("one")
        _, endpoint = self.serve()
        done = self.run_loam("sync", endpoint, dir=self.beta)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout.decode(), r"\(alpha\)  in step")
        self.assertRegex(done.stdout.decode(), r"(?m)^  lessons_learned +0 +1 +0 +0 +0$")


if __name__ == "__main__":
    unittest.main()
