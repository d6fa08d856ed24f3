#!/usr/bin/python3
"""The command line: what it does with bad input. Nothing bad is stored, every refusal is clear."""
import json
import os
import subprocess
import unittest

from cli_case import COMMANDS, ID_A, ID_B, LOAM, PATIENCE_S, Case, lesson

# A call of each command that needs an instance.
CALLS = [["id"], ["remember", "x"], ["remember", "--packet", "-"], ["remember", "--batch", "-"], ["recall", "x"],
         ["get", ID_A], ["list"], ["revise", ID_A, "x"], ["forget", ID_A], ["put", "session_context", "k", "1"],
         ["show", "session_context", "k"], ["keys", "session_context"], ["erase", "session_context", "k"],
         ["route", "read", "lessons_learned"], ["serve", "--listen", "127.0.0.1:0"], ["sync", "ws://127.0.0.1:1"],
         ["sync", "--watch", "ws://127.0.0.1:1"], ["status"], ["status", "--watch"], ["digest"], ["export"],
         ["import", "-"], ["backup", "x"], ["restore", "x", "--as-new"], ["journal"], ["journal", "--drop"], ["verify"], ["verify", "--deep"],
         ["verify", "--absent", ID_A], ["doctor"], ["doctor", "--fix"],
         ["invite", "--name", "x", "--endpoint", "ws://127.0.0.1:1"], ["admit", "x", "0" * 64], ["peers"],
         ["peers", "grant", "x"], ["peers", "revoke", "x"], ["rules", "list"], ["rules", "show", "x"],
         ["rules", "set", "-"], ["rules", "remove", "x"], ["rules", "check", "x"], ["rules", "explain", "x"],
         ["rules", "diff", "x"], ["rules", "test", "-"], ["rules", "conflicts"]]


class Directories(Case):
    def test_every_command_needs_an_instance_and_makes_none(self):
        self.assertEqual({call[0] for call in CALLS} | {"init", "join"}, set(COMMANDS))
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

    def test_what_is_no_federation(self):
        for content in ["", "zz", "loam federation 1\n", "loam federation 1\n!!\n", "loam federation 1\nAAAA\n"]:
            file = self.path("federation", content)
            self.fails(2, "invalid", "join", "--federation", file, "--name", "b", dir=self.path("new"))
            self.assertFalse(os.path.exists(self.path("new/shared")))


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
                     ["export", "-s", "nothing"], ["remember", "x", "-s", ""], ["list", "-s", ""],
                     ["recall", "x", "-s", ""], ["export", "-s", ""], ["remember", "x", "-s", "lessons learned"]]:
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
        packet = lesson("y", segment="org-patterns", packet_type="event")
        self.assertEqual(self.packet(packet)["segment"], "org_patterns")
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
        def big(type, octets):
            return {"packet_type": type, "payload": {"text": "x", "blob": {"$octets": "00" * octets}}}

        for type in ["lesson", "event"]:
            with self.subTest(type):
                self.packet(big(type, 255 * 1024))
                error = self.packet_fails(8, "limit", big(type, 256 * 1024))
                self.assertIn("limit 262144", error["message"])
                texts = {f"blob{i}": "y" * 60_000 for i in range(5)}
                self.packet_fails(8, "limit", {"packet_type": type, "payload": {"text": "x", **texts}})
                self.packet_fails(8, "limit", big(type, 1 << 19))
        self.assertEqual(len(self.texts()), 2)

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
            done = self.run_loam("put", "session_context", "deeper", "[" * depth + "]" * depth)
            self.assertIn(done.returncode, (2, 8))
        self.assertEqual(self.ok("keys", "session_context")["items"], ["deep"])


class StandardStreams(Case):
    def assert_quiet_failure(self, done):
        self.assertEqual(done.returncode, 1)
        self.assertEqual(done.stderr, b"")

    def test_closed_standard_output(self):
        for call in [["id"], ["list"], ["remember", "written"], ["--json", "status"], ["--help"]]:
            done = subprocess.run([LOAM, "-C", self.dir, *call], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                  env=self.env, preexec_fn=lambda: os.close(1), timeout=PATIENCE_S)
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
