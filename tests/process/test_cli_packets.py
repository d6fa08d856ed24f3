#!/usr/bin/python3
"""The command line: packets, ids, batches and imports, good and bad."""
import json
import os
import pty
import resource
import subprocess
import unittest

from cli_case import ID_A, ID_B, ID_C, LOAM, PATIENCE_S, RECEIPT, Case, lesson


class Packets(Case):
    def test_broken_packets(self):
        for text in ["", " ", "{", "[]", "null", "1", '"x"', "{}", '{"payload":{"text":"x"}}', "{'a':1}",
                     '{"packet_type":"lesson"}', '{"packet_type":5,"payload":{"text":"x"}}',
                     '{"packet_type":"lesson","payload":"x"}', '{"packet_type":"lesson","payload":{"text":5}}',
                     '{"packet_type":"lesson","payload":{"text":"x"},"unheard_of":1}',
                     '{"packet_type":"lesson","payload":{"text":"x"},"tags":"x"}',
                     '{"packet_type":"lesson","payload":{"text":"x"},"tags":[1]}',
                     '{"packet_type":"lesson","payload":{"text":"x"},"shared":"yes"}',
                     '{"packet_type":"lesson","payload":{"text":"x"},"timestamp_ms":"now"}',
                     '{"packet_type":"lesson","payload":{"text":"x"},"packet_id":"short"}',
                     '{"packet_type":"lesson","payload":{"text":"x"},"confidence":{"score":2}}',
                     '{"packet_type":"lesson","payload":{"text":"x"}} {}',
                     '{"packet_type":"lesson","payload":{"text":"x"},}',
                     '{"packet_type":"lesson","payload":{"text":"x","text":"y"}}',
                     b'{"packet_type":"lesson","payload":{"text":"caf\xe9"}}', b"\xff\xfe"]:
            with self.subTest(text):
                self.packet_fails(2, "invalid", text)
        self.packet_fails(8, "limit", "[" * 100_000)
        self.packet_fails(8, "limit", " " * (1 << 20) + json.dumps(lesson("x")))
        self.assertEqual(self.texts(), [])

    def test_every_field_of_an_envelope_is_taken(self):
        receipt = self.packet({
            "packet_id": ID_A, "packet_type": "lesson", "segment": "lessons-learned", "shared": True,
            "payload": {"text": "whole", "x_unknown": {"kept": [1, None]}}, "timestamp_ms": 1_700_000_000_000,
            "metadata": {"agent": "coder", "domain": "web"},
            "provenance": {"parent_packet": "p", "source": "ci", "source_agent": "s", "tool": "t"},
            "confidence": {"score": 1, "rationale": "seen"}, "thread_id": "t-1",
            "lineage": {"parent_ids": ["a"], "derivation_type": "d", "generation": 2}, "tags": ["b", "a"],
            "expires_at_ms": 0})
        self.assertEqual(set(receipt), RECEIPT)
        record = self.ok("get", receipt["id"])
        self.assertEqual(record["payload"], {"text": "whole", "x_unknown": {"kept": [1, None]}})
        self.assertEqual((record["created_ms"], record["tags"]), (1_700_000_000_000, ["a", "b"]))
        self.assertEqual(record["confidence"], {"score": 1.0, "rationale": "seen"})

    def test_the_executors_rule_decides_the_segment(self):
        for type, fields, segment in [("lesson", {}, "lessons_learned"), ("pattern", {}, "org_patterns"),
                                      ("failure", {}, "common_failures"), ("event", {}, "project_history"),
                                      ("insight", {"thread_id": "t"}, "task_traces"),
                                      ("memory_write", {}, "project_history"),
                                      ("memory_org_patterns", {}, "org_patterns"),
                                      ("memory_task_traces", {}, "task_traces")]:
            with self.subTest(type):
                payload = {"text": type, "name": type, "error_signature": type}
                self.assertEqual(self.packet({"packet_type": type, "payload": payload, **fields})["segment"], segment)

    def test_a_packet_of_a_map_segment_is_an_entry(self):
        receipt = self.packet({"packet_type": "memory_session_context", "payload": {"key": "goal", "value": "ship"}})
        self.assertEqual((receipt["id"], receipt["segment"]), ("goal", "session_context"))
        self.assertEqual(self.ok("show", "session_context", "goal")["value"], "ship")

    def test_a_repeated_packet_id_is_an_idempotent_retry(self):
        for segment in ["lessons_learned", "project_history"]:
            with self.subTest(segment):
                packet = lesson("once", packet_id=ID_A if segment == "lessons_learned" else ID_C, segment=segment)
                first, second = self.packet(packet), self.packet(packet)
                self.assertEqual((first["existing"], second["existing"]), (False, True))
                self.assertEqual(first["id"], second["id"])
                self.assertEqual(self.texts("-s", segment), ["once"])


class Ids(Case):
    def setUp(self):
        super().setUp()
        for id in (ID_A, ID_B, ID_C):
            self.packet({"packet_id": id, "packet_type": "event", "payload": {"text": id}})

    def test_a_unique_prefix_of_six_is_enough(self):
        self.assertEqual(self.ok("get", ID_C[:6])["id"], ID_C)
        self.assertEqual(self.ok("get", ID_C.upper())["id"], ID_C)
        self.assertEqual(self.ok("get", ID_A)["id"], ID_A)
        self.assertEqual(self.ok("forget", ID_C[:6])["id"], ID_C)

    def test_five_characters_are_too_few(self):
        for command in [["get"], ["forget"]]:
            self.fails(2, "invalid", *command, ID_C[:5])
        self.fails(2, "invalid", "revise", ID_C[:5], "x")
        self.ok("get", ID_C)

    def test_an_ambiguous_prefix_is_refused(self):
        for length in (6, 25):
            error = self.fails(2, "invalid", "get", ID_A[:length])
            self.assertIn("several", error["message"])
            self.fails(2, "invalid", "forget", ID_A[:length])
        self.ok("get", ID_A)

    def test_an_unknown_id_is_not_found(self):
        for id in ["7zzzzz", "7" + "z" * 25]:
            self.fails(3, "not_found", "get", id)
            self.fails(3, "not_found", "forget", id)
            self.fails(3, "not_found", "revise", id, "x")

    def test_what_is_no_id_is_invalid(self):
        for id in ["", "uuuuuu", "z" * 27, ID_A + "0", "01zzz!", "../../x", "ääääää"]:
            with self.subTest(id):
                self.fails(2, "invalid", "get", id)

    def test_a_prefix_of_shared_records(self):
        id = self.remember("shared")
        self.assertEqual(self.ok("get", id[:6])["id"], id)


class Batches(Case):
    def batch(self, code, lines, *args):
        text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
        return self.run_json(code, "remember", "--batch", self.path("batch.jsonl", text), *args)

    def test_a_good_batch(self):
        answer = self.batch(0, [lesson(f"lesson {i}") for i in range(2_500)])
        self.assertEqual((answer["written"], answer["refused"], len(answer["items"])), (2_500, [], 2_500))
        self.assertLessEqual(RECEIPT, set(answer["items"][0]))
        self.assertEqual(self.ok("status")["segments"]["lessons_learned"]["records"], 2_500)
        self.assertEqual(self.ok("get", answer["items"][2_499]["id"])["text"], "lesson 2499")

    def test_an_empty_batch(self):
        self.assertEqual(self.batch(0, [])["items"], [])
        self.assertEqual(self.batch(0, ["", "  ", ""])["written"], 0)

    def test_bad_lines_are_refused_with_their_numbers_and_the_others_written(self):
        lines = [lesson("one"), "{", "", lesson("x", shared=False), lesson("two"), lesson("y" * 64_001),
                 lesson("x", segment="nothing"), {"packet_type": "event", "payload": {"text": "x", "b": "y" * 300_000}},
                 {"packet_type": "event", "payload": {"text": "three"}}]
        answer = self.batch(1, lines)
        self.assertEqual((answer["written"], len(answer["items"])), (3, 3))
        self.assertEqual([bad["line"] for bad in answer["refused"]], [2, 4, 6, 7, 8])
        for bad, code in zip(answer["refused"], ["invalid", "invalid", "limit", "unknown_segment", "limit"]):
            self.assertTrue(bad["error"].startswith(code), bad)
        self.assertEqual(sorted(self.texts()), ["one", "three", "two"])

    def test_lines_that_are_not_utf8_or_too_long(self):
        content = b"\n".join([json.dumps(lesson("one")).encode(), b'{"packet_type":"lesson","payload":{"text":"\xff"}}',
                              b"x" * ((1 << 20) + 1), b"y" * (3 << 20), json.dumps(lesson("two")).encode(), b""])
        answer = self.run_json(1, "remember", "--batch", "-", stdin=content)
        self.assertEqual([bad["line"] for bad in answer["refused"]], [2, 3, 4])
        self.assertEqual(sorted(self.texts()), ["one", "two"])

    def test_a_very_long_line_does_not_fill_the_memory(self):
        def poor():
            resource.setrlimit(resource.RLIMIT_DATA, (192 << 20, 192 << 20))

        if b"AddressSanitizer" in self.run_loam("--version", preexec_fn=poor).stderr:
            self.skipTest("the sanitizer needs more memory itself")
        content = b"x" * (300 << 20) + b"\n" + json.dumps(lesson("after")).encode()
        answer = self.run_json(1, "remember", "--batch", self.path("long", content), preexec_fn=poor)
        self.assertEqual((answer["written"], answer["refused"][0]["line"]), (1, 1))

    def test_atomic_writes_all_or_nothing(self):
        good = [lesson("one"), {"packet_type": "event", "payload": {"text": "two"}}]
        answer = self.batch(1, [*good, "{", lesson("three")], "--atomic")
        self.assertEqual((answer["items"], answer["written"]), ([], 0))
        self.assertEqual([bad["line"] for bad in answer["refused"]], [3])
        self.assertEqual(self.texts(), [])
        answer = self.batch(0, good, "--atomic")
        self.assertEqual((answer["written"], answer["refused"]), (2, []))
        self.assertEqual(sorted(self.texts()), ["one", "two"])

    def test_a_repeated_batch_changes_nothing(self):
        lines = [lesson("one", packet_id=ID_A), {"packet_id": ID_B, "packet_type": "event", "payload": {"text": "two"}}]
        self.assertEqual([item["existing"] for item in self.batch(0, lines)["items"]], [False, False])
        self.assertEqual([item["existing"] for item in self.batch(0, lines)["items"]], [True, True])
        self.assertEqual(sorted(self.texts()), ["one", "two"])

    def test_people_get_a_summary_and_the_refused_lines(self):
        done = self.run_loam("remember", "--batch", "-", stdin=json.dumps(lesson("one")) + "\n{\n")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout.decode(), "(?m)^wrote 1 .*refused 1$")
        self.assertIn("line 2: invalid", done.stderr.decode())

    def test_a_batch_shows_its_progress_on_a_terminal_only(self):
        lines = "".join(json.dumps({"packet_type": "lesson", "payload": {"text": f"{i}"}}) + "\n" for i in range(50))
        done = self.run_loam("remember", "--batch", self.path("batch", lines))
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        terminal, side = pty.openpty()
        done = subprocess.run([LOAM, "-C", self.dir, "--json", "remember", "--batch", self.path("batch")],
                              stdout=subprocess.PIPE, stderr=side, timeout=PATIENCE_S, env=self.env)
        os.close(side)
        self.assertEqual(json.loads(done.stdout)["written"], 50)
        self.assertRegex(os.read(terminal, 10_000).decode(), r"lines: 1 \[#{20}\] 100 %")
        os.close(terminal)


class ForgettingMany(Case):
    def test_ids_one_a_line(self):
        ids = [self.remember(f"lesson {i}") for i in range(3)] + [self.remember("event", "-s", "project_history")]
        answer = self.ok("forget", "--batch", "-", stdin="\n".join([ids[0], ids[1][:12], "", ids[3], ""]))
        self.assertEqual((answer["removed"], answer["refused"]), (3, []))
        self.assertEqual([item["id"] for item in answer["items"]], [ids[0], ids[1], ids[3]])
        self.assertEqual(self.texts(), ["lesson 2"])

    def test_bad_lines_are_refused_and_the_others_go(self):
        id = self.remember("a mistake")
        lines = b"\n".join([b"x", ID_A.encode(), id.encode(), b"\xff" * 999])
        answer = self.run_json(1, "forget", "--batch", "-", stdin=lines)
        self.assertEqual((answer["removed"], [bad["line"] for bad in answer["refused"]]), (1, [1, 2, 4]))
        self.assertEqual(self.texts(), [])

    def test_either_an_id_or_a_batch(self):
        self.fails(2, "invalid", "forget")
        self.fails(2, "invalid", "forget", ID_A, "--batch", "-")


class FullStores(Case):
    def test_a_full_store_keeps_what_was_written_and_says_so(self):
        with open(os.path.join(self.dir, "config.toml"), "w") as config:
            config.write("[store]\nmap_octets_max = 1048576\n")
        lines = "\n".join(json.dumps(lesson(f"lesson {i} " + "x" * 300)) for i in range(5_000))
        answer = self.run_json(8, "remember", "--batch", "-", stdin=lines)
        self.assertEqual(answer["error"]["code"], "out_of_space")
        self.assertEqual(len(answer["items"]), answer["written"])
        self.assertGreater(answer["written"], 0)
        self.assertEqual(self.ok("status")["segments"]["lessons_learned"]["records"], answer["written"])
        self.ok("forget", answer["items"][0]["id"])
        answer = self.fails(8, "out_of_space", "remember", "--atomic", "--batch", "-", stdin=lines)
        self.assertIn("map_octets_max", answer["message"])

    def test_a_configuration_that_makes_no_sense(self):
        for text in ["[store", "bogus = 1\n", "[store]\nmap_octets_max = 'x'\n"]:
            with open(os.path.join(self.dir, "config.toml"), "w") as config:
                config.write(text)
            self.assertIn("config.toml", self.fails(2, "invalid", "list")["message"])


class Imports(Case):
    def test_bad_lines_are_refused_with_their_numbers(self):
        self.remember("exported")
        line = self.run_loam("export").stdout.strip()
        content = b"\n".join([line, b"{", b'{"a":"\xff"}', b"[]", b"x" * (5 << 20), line])
        beta = self.path("beta")
        self.ok("init", "beta", dir=beta)
        answer = self.run_json(1, "import", "-", stdin=content, dir=beta)
        self.assertEqual((answer["written"], answer["existing"]), (1, 1))
        self.assertEqual([bad["line"] for bad in answer["refused"]], [2, 3, 4, 5])
        for bad in answer["refused"]:
            self.assertNotEqual(bad["error"], "")
        self.assertEqual(self.texts(dir=beta), ["exported"])


if __name__ == "__main__":
    unittest.main()
