#!/usr/bin/python3
"""The command line: what it does with bad input. Nothing bad is stored, every refusal is clear."""
import json
import os
import resource
import subprocess
import unittest

from cli_case import COMMANDS, LOAM, PATIENCE_S, RECEIPT, Case

ID_A = "01jq3x8m00000000000000000a"
ID_B = "01jq3x8m00000000000000000b"
ID_C = "01zzzzzz00000000000000000c"

# A call of each command that needs an instance.
CALLS = [["id"], ["remember", "x"], ["remember", "--packet", "-"], ["remember", "--batch", "-"], ["recall", "x"],
         ["get", ID_A], ["list"], ["revise", ID_A, "x"], ["forget", ID_A], ["put", "session_context", "k", "1"],
         ["show", "session_context", "k"], ["keys", "session_context"], ["erase", "session_context", "k"],
         ["route", "read", "lessons_learned"], ["serve", "--listen", "127.0.0.1:0"], ["sync", "ws://127.0.0.1:1"],
         ["sync", "--watch", "ws://127.0.0.1:1"], ["status"], ["status", "--watch"], ["digest"], ["export"],
         ["import", "-"], ["journal"], ["journal", "--drop"]]


def lesson(text, **fields):
    return {"packet_type": "lesson", "payload": {"text": text}, **fields}


class Directories(Case):
    def test_every_command_needs_an_instance_and_makes_none(self):
        self.assertEqual({call[0] for call in CALLS} | {"init"}, set(COMMANDS))
        nowhere = self.path("nowhere")
        empty = self.path("empty")
        os.mkdir(empty, 0o700)
        for call in CALLS:
            for dir in (nowhere, empty):
                with self.subTest(call=call, dir=dir):
                    error = self.fails(3, "not_found", *call, dir=dir)
                    self.assertIn("loam init NAME", error["hint"])
        self.assertFalse(os.path.exists(nowhere))
        self.assertEqual(os.listdir(empty), [])

    def test_a_directory_open_to_others_is_refused(self):
        for mode in (0o777, 0o770, 0o707, 0o750, 0o701):
            with self.subTest(oct(mode)):
                os.chmod(self.dir, mode)
                error = self.fails(4, "denied", "list")
                self.assertIn("chmod 700", error["hint"])
                self.fails(4, "denied", "init", "beta")
        os.chmod(self.dir, 0o700)
        self.ok("list")

    def test_an_empty_directory_open_to_others_gets_no_instance(self):
        open_to_all = self.path("open")
        os.mkdir(open_to_all)
        os.chmod(open_to_all, 0o777)
        self.fails(4, "denied", "init", "beta", dir=open_to_all)
        self.assertEqual(os.listdir(open_to_all), [])

    def test_a_symbolic_link_is_refused(self):
        link = self.path("link")
        os.symlink(self.dir, link)
        self.fails(4, "denied", "list", dir=link)
        self.fails(4, "denied", "init", "beta", dir=link)

    def test_a_file_is_no_directory(self):
        self.assertNotEqual(self.run_loam("list", dir=self.path("file", "x")).returncode, 0)
        self.assertNotEqual(self.run_loam("init", "x", dir=self.path("file")).returncode, 0)

    def test_a_key_readable_by_others_is_refused(self):
        os.chmod(os.path.join(self.dir, "identity.key"), 0o644)
        self.fails(4, "denied", "list")

    def test_an_empty_name_of_a_directory_is_not_the_default_one(self):
        done = subprocess.run([LOAM, "-C", "", "id"], capture_output=True, timeout=PATIENCE_S, env=self.env)
        self.assertEqual(done.returncode, 2)

    def test_bad_names_of_instances(self):
        for name in ["", "A", "a b", "-a", "_a", "a/b", "..", "ä", "a" * 64, "a\n"]:
            with self.subTest(name):
                self.fails(2, "invalid", "init", "--", name, dir=self.path("new"))
                self.assertFalse(os.path.exists(self.path("new")))
        self.ok("init", "a" * 63, dir=self.path("new"))

    def test_bad_federation(self):
        for id in ["", "zz", "u" * 26, self.alpha["federation"] + "0"]:
            self.fails(2, "invalid", "init", "b", "--federation", id, dir=self.path("new"))


class Usage(Case):
    def test_usage_errors(self):
        for call in [[], ["frob"], ["retract", ID_A], ["--bogus", "list"], ["list", "--bogus"], ["list", "extra"],
                     ["get"], ["get", ID_A, ID_B], ["revise", ID_A], ["put", "session_context", "k"], ["remember"],
                     ["remember", "a", "b"], ["remember", "-t", "x"], ["remember", "a", "-s", "x", "-s", "y"],
                     ["remember", "a", "--packet", "x"], ["remember", "--packet", "x", "--batch", "y"],
                     ["remember", "-t", "x", "--batch", "y"], ["remember", "a", "--atomic"], ["recall"], ["init"],
                     ["route", "read"], ["list", "-n"], ["import"]]:
            with self.subTest(call):
                error = self.fails(2, "invalid", *call)
                self.assertIn("--help", error["hint"])

    def test_numbers_out_of_range(self):
        for call in [["recall", "x", "-n"], ["list", "-n"], ["keys", "session_context", "-n"]]:
            for number in ["0", "-1", "x", "", "1.5", "10001", "99999999999999999999", "1 ", "0x10"]:
                with self.subTest(call=call, number=number):
                    self.fails(2, "invalid", *call, number)
        self.fails(2, "invalid", "recall", "x", "-n", "1001")
        self.ok("recall", "x", "-n", "1000")
        self.ok("list", "-n", "10000")
        self.fails(2, "invalid", "recall", "x", "--offset", "-1")

    def test_scores_durations_and_times_out_of_range(self):
        for score in ["-0.1", "1.1", "nan", "inf", "", "x", "0,5"]:
            self.fails(2, "invalid", "remember", "x", "--confidence", score)
        for when in ["", "x", "7", "7y", "-7d", "1.5d", "7 d", "99999999999999999999d", "36501d", "2025-13-01",
                     "2025-02-30T00:00:00Z", "2025-01-01T25:00:00Z", "2025-01-01T00:00:00", "2025-01-01T00:00Z",
                     "2025-01-01T00:00:00Zx", "25-01-01"]:
            with self.subTest(when):
                if when != "7":  # Unix milliseconds
                    self.fails(2, "invalid", "remember", "x", "--expires", when)
                    self.fails(2, "invalid", "recall", "x", "--since", when)
                self.fails(2, "invalid", "sync", "--timeout", when)
                self.fails(2, "invalid", "serve", "--every", when)
        self.fails(2, "invalid", "sync", "--timeout", "0s")
        self.assertEqual(self.texts(), [])

    def test_fields_that_are_none(self):
        for field in ["", "x", "=x", ":=1", "a:=", "a:={", "a:=[1,]", 'a:={"b":1,"b":2}', "a:=1e999"]:
            with self.subTest(field):
                self.fails(2, "invalid", "remember", "x", "--field", field)
        self.fails(2, "invalid", "remember", "x", "--field", "a=1", "--field", "a=2")
        self.assertEqual(self.texts(), [])

    def test_arguments_that_are_not_utf8(self):
        for call in [["remember", b"caf\xe9"], ["recall", b"\xff"], ["get", b"\xc0\x80aaaa"], ["init", b"\xed\xa0\x80"],
                     ["remember", "x", "-t", b"\xff"], ["put", "session_context", b"\xff", "1"],
                     ["put", "session_context", "k", b'"\xff"'], ["remember", "x", "--field", b"a=\xff"]]:
            with self.subTest(call):
                self.fails(2, "invalid", *call)
        self.fails(2, "invalid", "remember", "-", stdin=b"caf\xe9")
        self.assertEqual(self.texts(), [])

    def test_cursors_that_are_none(self):
        self.fails(2, "invalid", "list", "-s", "lessons_learned", "--cursor", "nonsense!")
        self.fails(2, "invalid", "list", "-s", "lessons_learned", "-s", "org_patterns", "--cursor", "nonsense")
        self.fails(2, "invalid", "list", "-s", "lessons_learned", "-s", "org_patterns", "--cursor", "task_traces:")

    def test_files_that_cannot_be_read(self):
        for call in [["remember", "--packet"], ["remember", "--batch"], ["import"]]:
            for file in [self.path("missing"), self.scratch]:
                self.fails(1, "failed", *call, file)


class Segments(Case):
    def test_unknown_segments(self):
        for call in [["remember", "x", "-s", "nothing"], ["recall", "x", "-s", "nothing"], ["list", "-s", "nothing"],
                     ["list", "-s", "lessons_learned", "-s", "nothing"], ["put", "nothing", "k", "1"],
                     ["show", "nothing", "k"], ["keys", "nothing"], ["erase", "nothing", "k"], ["digest", "nothing"],
                     ["export", "-s", "nothing"], ["remember", "x", "-s", ""], ["remember", "x", "-s", "lessons learned"]]:
            with self.subTest(call):
                self.fails(2, "unknown_segment", *call)
        self.packet_fails(2, "unknown_segment", lesson("x", segment="nothing"))
        self.packet_fails(2, "unknown_segment", {"packet_type": "memory_nothing", "payload": {"text": "x"}})
        self.assertEqual(self.texts(), [])

    def test_sets_and_maps_are_not_mixed_up(self):
        for call in [["remember", "x", "-s", "session_context"], ["put", "lessons_learned", "k", "1"],
                     ["show", "task_traces", "k"], ["keys", "lessons_learned"], ["erase", "lessons_learned", "k"],
                     ["list", "-s", "session_context"], ["recall", "x", "-s", "approval_rules"]]:
            with self.subTest(call):
                self.fails(2, "invalid", *call)

    def test_hyphens_are_accepted(self):
        self.assertEqual(self.ok("remember", "x", "-s", "lessons-learned")["segment"], "lessons_learned")
        self.assertEqual(self.packet(lesson("y", segment="org-patterns", packet_type="event"))["segment"], "org_patterns")
        self.assertEqual(self.ok("put", "session-context", "k", "1")["segment"], "session_context")
        self.assertEqual(self.ok("show", "session-context", "k")["segment"], "session_context")

    def test_a_shared_flag_that_disagrees_stores_nothing(self):
        for packet in [lesson("x", shared=False), {"packet_type": "event", "shared": True, "payload": {"text": "x"}},
                       lesson("x", segment="project_history", shared=True)]:
            with self.subTest(packet):
                self.packet_fails(2, "invalid", packet)
        self.assertEqual(self.texts(), [])
        self.assertIs(self.packet(lesson("x", shared=True))["existing"], False)


class Limits(Case):
    def test_text(self):
        for character in ["x", "é", "🦀"]:
            with self.subTest(character):
                self.ok("remember", "-", stdin=character * 64_000)
                error = self.fails(8, "limit", "remember", "-", stdin=character * 64_001)
                self.assertIn("text", error["message"])
                self.assertIn("64001", error["message"])
                self.assertIn("64000", error["message"])
                self.packet_fails(8, "limit", lesson(character * 64_001))
        self.assertEqual(len(self.texts()), 3)
        id = self.ok("list")["items"][0]["id"]
        self.fails(8, "limit", "revise", id, "-", stdin="x" * 64_001)
        self.fails(8, "limit", "remember", "-", stdin="x" * (1 << 20 | 1))

    def test_tags(self):
        def tags(count):
            return [word for i in range(count) for word in ("-t", f"tag{i}")]

        self.assertEqual(len(self.ok("get", self.remember("x", *tags(64)))["tags"]), 64)
        error = self.fails(8, "limit", "remember", "y", *tags(65))
        self.assertIn("tags", error["message"])
        self.ok("remember", "z", "-t", "ä" * 64)
        error = self.fails(8, "limit", "remember", "w", "-t", "ä" * 65)
        self.assertIn("tag", error["message"])
        self.packet_fails(8, "limit", lesson("v", tags=["x" * 65]))
        self.packet_fails(8, "limit", lesson("v", tags=[f"t{i}" for i in range(65)]))
        self.assertEqual(len(self.texts()), 2)

    def test_records(self):
        def big(octets):
            return {"packet_type": "event", "payload": {"text": "x", "blob": "y" * octets}}

        self.packet(big(255 * 1024))
        error = self.packet_fails(8, "limit", big(256 * 1024))
        self.assertIn(str(256 * 1024), error["message"])
        self.packet_fails(8, "limit", {**big(256 * 1024), "packet_type": "lesson"})
        self.packet_fails(8, "limit", big(1 << 20))
        self.assertEqual(len(self.texts()), 1)

    def test_keys_and_values_of_maps(self):
        for segment in ["session_context", "governance_meta"]:
            with self.subTest(segment):
                self.ok("put", segment, "k" * 400, "1")
                self.ok("put", segment, "ä" * 200, "1")
                for key in ["k" * 401, "ä" * 200 + "k"]:
                    self.assertIn(self.run_loam("put", segment, key, "1").returncode, (2, 8))
                for key in ["", "a\nb", "a\x7fb", "\x1b"]:
                    self.fails(2, "invalid", "put", segment, key, "1")
                self.assertEqual(len(self.ok("keys", segment)["items"]), 2)

    def test_values_too_deep(self):
        self.ok("put", "session_context", "deep", "[" * 15 + "]" * 15)
        for depth in (17, 33, 1000):
            self.assertIn(self.run_loam("put", "session_context", "deeper", "[" * depth + "]" * depth).returncode, (2, 8))
        self.assertEqual(self.ok("keys", "session_context")["items"], ["deep"])


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
                     '{"packet_type":"lesson","payload":{"text":"x"}} {}', '{"packet_type":"lesson","payload":{"text":"x"},}',
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
                                      ("memory_write", {}, "project_history"), ("memory_org_patterns", {}, "org_patterns"),
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
            self.assertIn("ambiguous", error["message"])
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


class StandardStreams(Case):
    def assert_quiet_failure(self, done):
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr, b"")

    def test_closed_standard_output(self):
        for call in [["id"], ["list"], ["remember", "written"], ["--json", "status"], ["--help"]]:
            done = subprocess.run([LOAM, "-C", self.dir, *call], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.env,
                                  preexec_fn=lambda: os.close(1), timeout=PATIENCE_S)
            if call != ["list"]:  # which had nothing to print
                self.assert_quiet_failure(done)
        self.assertEqual(self.texts(), ["written"])
        self.assertEqual(self.ok("id")["id"], self.alpha["id"])

    def test_all_standard_streams_closed(self):
        def close_all():
            for descriptor in range(3):
                os.close(descriptor)

        done = subprocess.run([LOAM, "-C", self.dir, "remember", "written"], env=self.env, preexec_fn=close_all,
                              timeout=PATIENCE_S)
        self.assertEqual(done.returncode, 1)
        self.assertEqual(self.texts(), ["written"])

    def test_a_reader_that_has_gone(self):
        for call in [["export"], ["--json", "export"], ["--json", "list"], ["--json", "get", "none!"]]:
            read, write = os.pipe()
            os.close(read)
            done = subprocess.run([LOAM, "-C", self.dir, *call], stdout=write, stderr=subprocess.PIPE, env=self.env,
                                  timeout=PATIENCE_S)
            os.close(write)
            self.assertIn(done.returncode, (0, 1), call)
            self.assertGreaterEqual(done.returncode, 0 if call == ["export"] else 1)

    def test_a_full_disk_under_standard_output(self):
        for call in [["id"], ["--json", "id"], ["--json", "list"], ["status"], ["--help"]]:
            with open("/dev/full", "wb") as full:
                done = subprocess.run([LOAM, "-C", self.dir, *call], stdout=full, stderr=subprocess.PIPE, env=self.env,
                                      timeout=PATIENCE_S)
            self.assertEqual(done.returncode, 1, call)
            self.assertIn(b"No space left", done.stderr)


if __name__ == "__main__":
    unittest.main()
