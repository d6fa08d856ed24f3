#!/usr/bin/python3
"""The command line: what each command answers, for programs and for people."""
import json
import os
import signal
import subprocess
import unittest

from cli_case import COMMANDS, LOAM, PATIENCE_S, RECEIPT, RECORD, Case


class Instances(Case):
    def test_init_and_id_say_who_the_instance_is(self):
        self.assertLessEqual({"name", "id", "federation", "public_key", "fingerprint"}, set(self.alpha))
        self.assertEqual(self.alpha["name"], "alpha")
        self.assertRegex(self.alpha["id"], "^[0-9a-hjkmnp-tv-z]{26}$")
        self.assertRegex(self.alpha["public_key"], "^[0-9a-f]{64}$")
        again = self.ok("id")
        self.assertEqual({key: self.alpha[key] for key in again}, again)

    def test_the_directory_and_the_key_are_for_the_owner_only(self):
        self.assertEqual(os.stat(self.dir).st_mode & 0o777, 0o700)
        self.assertEqual(os.stat(os.path.join(self.dir, "identity.key")).st_mode & 0o777, 0o600)

    def test_a_second_init_is_refused_and_changes_nothing(self):
        error = self.fails(2, "invalid", "init", "beta")
        self.assertIn(self.dir, error["message"])
        self.assertEqual(self.ok("id")["id"], self.alpha["id"])
        self.assertEqual(self.ok("id")["name"], "alpha")

    def test_an_instance_joins_a_federation_without_a_network(self):
        beta = self.ok("id", dir=self.join("beta"))
        self.assertEqual(beta["federation"], self.alpha["federation"])
        self.assertNotEqual(beta["id"], self.alpha["id"])

    def test_without_a_federation_two_instances_are_in_different_ones(self):
        beta = self.ok("init", "beta", dir=self.path("beta"))
        self.assertNotEqual(beta["federation"], self.alpha["federation"])

    def test_the_directory_comes_from_the_option_then_the_environment_then_home(self):
        def name(*args, **env):
            done = subprocess.run([LOAM, *args, "--json", "id"], capture_output=True, timeout=PATIENCE_S,
                                  env={**self.env, **env})
            return json.loads(done.stdout).get("name")

        self.ok("init", "at-home", dir=self.path(".loam"))
        self.ok("init", "environment", dir=self.path("env"))
        self.assertEqual(name(), "at-home")
        self.assertEqual(name(LOAM_DIR=self.path("env")), "environment")
        self.assertEqual(name("-C", self.dir, LOAM_DIR=self.path("env")), "alpha")

    def test_status_has_every_built_in_segment(self):
        self.remember("one lesson")
        status = self.ok("status")
        self.assertLessEqual({"name", "id", "federation", "segments", "peers", "alarms"}, set(status))
        segments = status["segments"]
        shared = {name for name, one in segments.items() if one["scope"] == "shared"}
        private = {name for name, one in segments.items() if one["scope"] == "private"}
        self.assertLessEqual({"lessons_learned", "org_patterns", "common_failures", "approval_rules",
                              "governance_meta", "instance_registry"}, shared)
        self.assertLessEqual({"project_history", "task_traces", "session_context", "instance_config"}, private)
        self.assertEqual(segments["lessons_learned"]["records"], 1)
        self.assertEqual(segments["lessons_learned"]["kind"], "set")
        self.assertEqual(segments["session_context"]["kind"], "map")
        self.assertGreater(segments["lessons_learned"]["bytes"], 0)
        self.assertEqual(status["peers"], [])

    def test_status_watch_prints_changes_until_a_signal(self):
        watching = self.start("--json", "status", "--watch")
        before = json.loads(self.line_of(watching))["segments"]["lessons_learned"]["records"]
        self.remember("something new")
        after = json.loads(self.line_of(watching))["segments"]["lessons_learned"]["records"]
        self.assertEqual((before, after), (0, 1))
        self.assertEqual(self.stop(watching, signal.SIGINT), 0)

    def test_digest_tells_states_apart(self):
        before = self.ok("digest")
        self.remember("a change")
        after = self.ok("digest")
        self.assertLessEqual({"lessons_learned", "org_patterns", "common_failures"}, set(before))
        self.assertNotIn("project_history", before)
        self.assertRegex(before["lessons_learned"], "^[0-9a-f]+$")
        changed = {name for name in before if before[name] != after[name]}
        self.assertEqual(changed, {"lessons_learned"})
        self.assertEqual(self.ok("digest", "lessons-learned"), {"lessons_learned": after["lessons_learned"]})

    def test_route_says_where_an_operation_goes_or_why_not(self):
        self.assertEqual(self.ok("route", "write", "lessons-learned"),
                         {"kind": "shared_replica", "segment": "lessons_learned", "instance": "alpha"})
        self.assertEqual(self.ok("route", "read", "task_traces"),
                         {"kind": "private_store", "segment": "task_traces", "instance": "alpha"})
        self.fails(4, "denied", "route", "read", "lessons_learned", "beta")  # there is no beta
        self.fails(4, "denied", "route", "write", "lessons_learned", "beta")
        self.fails(4, "denied", "route", "read", "task_traces", "beta")
        self.fails(2, "unknown_segment", "route", "read", "nothing")
        self.fails(2, "invalid", "route", "destroy", "lessons_learned")

    def test_the_journal_can_be_dropped_without_loss(self):
        self.remember("kept")
        self.assertIs(self.ok("journal")["dropped"], False)
        self.assertIs(self.ok("journal", "--drop")["dropped"], True)
        self.assertEqual(self.texts(), ["kept"])


class Records(Case):
    def test_remember_answers_with_a_receipt(self):
        receipt = self.ok("remember", "Retry 429 with jitter")
        self.assertEqual({**receipt, "id": ""},
                         {"id": "", "segment": "lessons_learned", "scope": "shared", "target": "shared_replica",
                          "existing": False})
        self.assertRegex(receipt["id"], "^[0-9a-hjkmnp-tv-z]{26}$")
        self.assertIs(self.ok("remember", "Retry 429 with jitter")["existing"], True)

    def test_every_option_of_remember_comes_back(self):
        id = self.remember("Sleeps synchronise the herd", "-t", "http", "-t", "a b", "--title", "Jitter", "--field",
                           "severity=high", "--field", 'steps:=["one","two"]', "--field", "problem=a=b",
                           "--thread", "t-1", "--agent", "coder", "--source", "ci", "--confidence", "0.75",
                           "--expires", "7d")
        record = self.ok("get", id)
        self.assertLessEqual(RECORD, set(record))
        self.assertEqual((record["id"], record["segment"], record["type"]), (id, "lessons_learned", "lesson"))
        self.assertEqual((record["text"], record["title"]), ("Sleeps synchronise the herd", "Jitter"))
        self.assertEqual(record["tags"], ["a b", "http"])
        self.assertEqual(record["authors"], ["alpha"])
        self.assertEqual((record["support"], record["retracted"], record["supersedes"]), (1, False, []))
        payload = record["payload"]
        self.assertEqual((payload["severity"], payload["steps"], payload["problem"]), ("high", ["one", "two"], "a=b"))
        self.assertEqual((record["thread_id"], record["confidence"]["score"]), ("t-1", 0.75))
        word, = record["provenance"]
        self.assertEqual((word["author"], word["agent"], word["source"]), ("alpha", "coder", "ci"))
        self.assertAlmostEqual(record["expires_at_ms"] - record["created_ms"], 7 * 86_400_000, delta=600_000)

    def test_text_comes_from_standard_input_for_a_dash(self):
        self.ok("remember", "-", stdin="several\nlines\n")
        self.assertEqual(self.texts(), ["several\nlines"])

    def test_text_may_look_like_a_command_an_option_or_a_list(self):
        for text in ["status", "--json", "-s", "[a,b]", "{}", "a=b", "-", " spaced ", "ünï©ödé 🦀"]:
            with self.subTest(text):
                stdin = text if text == "-" else ""
                id = self.remember(text, stdin=stdin)
                self.assertEqual(self.ok("get", id)["text"], text)

    def test_the_type_follows_the_segment(self):
        for segment, type in [("lessons_learned", "lesson"), ("org-patterns", "pattern"),
                              ("common_failures", "failure"), ("project_history", "event"), ("task-traces", "trace")]:
            with self.subTest(segment):
                receipt = self.ok("remember", "-s", segment, f"text for {segment}")
                self.assertEqual(receipt["segment"], segment.replace("-", "_"))
                self.assertEqual(self.ok("get", receipt["id"])["type"], type)

    def test_a_private_record_is_found_at_home_and_not_exported(self):
        receipt = self.ok("remember", "-s", "project_history", "the canary sings")
        self.assertEqual((receipt["scope"], receipt["target"]), ("private", "private_store"))
        self.assertEqual(self.ok("get", receipt["id"])["text"], "the canary sings")
        self.assertEqual(self.texts("-s", "project_history"), ["the canary sings"])
        found = self.ok("recall", "canary")["items"]
        self.assertEqual([hit["record"]["id"] for hit in found], [receipt["id"]])
        self.assertNotIn(b"canary", self.run_loam("export").stdout)
        self.assertIn(b"canary", self.run_loam("export", "--private").stdout)

    def test_recall_ranks_filters_and_explains(self):
        jitter = self.remember("rate limit: retry with jitter", "-t", "http", "-t", "retry")
        other = self.remember("rate of exchange", "-t", "money")
        pattern = self.remember("retry queue", "-s", "org_patterns")
        answer = self.ok("recall", "rate limit retry")
        self.assertLessEqual({"items", "next", "coverage"}, set(answer))
        self.assertLessEqual({"partial", "unreachable"}, set(answer["coverage"]))
        self.assertEqual((answer["coverage"]["partial"], answer["coverage"]["unreachable"]), (False, []))
        self.assertEqual(answer["items"][0]["record"]["id"], jitter)
        self.assertLessEqual(RECORD, set(answer["items"][0]["record"]))
        scores = [hit["score"] for hit in answer["items"]]
        self.assertEqual(scores, sorted(scores, reverse=True))

        def ids(*args):
            return {hit["record"]["id"] for hit in self.ok("recall", *args)["items"]}

        self.assertEqual(ids("retry", "-s", "org-patterns"), {pattern})
        self.assertEqual(ids("rate", "-t", "money"), {other})
        self.assertEqual(ids("rate", "-t", "http", "-t", "retry"), {jitter})
        self.assertEqual(ids("rate", "-t", "http", "-t", "money"), set())
        self.assertEqual(ids("", "--author", "alpha"), {jitter, other, pattern})
        self.assertEqual(ids("", "--author", "nobody"), set())
        self.assertEqual(ids("rate", "--since", "2000-01-01T00:00:00Z"), {jitter, other})
        self.assertEqual(ids("rate", "--until", "2000-01-01T00:00:00+02:00"), set())
        self.assertEqual(ids("rate", "--until", "946684800000"), set())
        self.assertNotEqual(self.ok("recall", "jitter", "--explain")["items"][0]["why"], {})

    def test_recall_pages_with_offset(self):
        ids = [self.remember(f"page number {i}") for i in range(5)]
        seen, offset = [], "0"
        while offset is not None:
            answer = self.ok("recall", "page", "-n", "2", "--offset", offset)
            self.assertLessEqual(len(answer["items"]), 2)
            seen += [hit["record"]["id"] for hit in answer["items"]]
            offset = answer["next"]
        self.assertEqual(sorted(seen), sorted(ids))

    def test_finding_nothing_is_not_an_error(self):
        self.assertEqual(self.ok("recall", "nothing of the kind")["items"], [])
        self.assertEqual(self.ok("list")["items"], [])

    def test_an_expired_record_is_not_recalled(self):
        self.remember("stale news", "--expires", "2001-01-01T00:00:00Z")
        self.assertEqual(self.ok("recall", "stale news")["items"], [])

    def test_list_is_newest_first_and_pages_with_its_cursor(self):
        for i in range(5):
            self.packet({"packet_type": "lesson", "payload": {"text": f"lesson {i}"}})
        self.assertEqual(self.texts(), [f"lesson {i}" for i in (4, 3, 2, 1, 0)])
        seen, cursor = [], ""
        while cursor is not None:
            page = self.ok("list", "-n", "2", "--cursor", cursor)
            self.assertEqual(set(page), {"items", "next", "coverage"})
            seen += [item["text"] for item in page["items"]]
            cursor = page["next"]
        self.assertEqual(seen, self.texts())

    def test_list_of_several_segments_goes_through_them_in_turn(self):
        for segment in ["org_patterns", "lessons_learned", "project_history"]:
            for i in range(3):
                self.remember(f"{segment} {i}", "-s", segment)
        wanted = [f"{segment} {i}" for segment in ["project_history", "org_patterns"] for i in (2, 1, 0)]
        chosen = ["-s", "project_history", "-s", "org-patterns", "-s", "project-history"]
        self.assertEqual(self.texts(*chosen), wanted)
        for step in range(1, 7):
            seen, cursor = [], ""
            while cursor is not None:
                page = self.ok("list", *chosen, "-n", str(step), "--cursor", cursor)
                seen += [item["text"] for item in page["items"]]
                cursor = page["next"]
            self.assertEqual(seen, wanted, f"in steps of {step}")

    def test_revise_makes_a_record_that_supersedes_the_old_one(self):
        old = self.remember("Retry at once", "-t", "http")
        receipt = self.ok("revise", old, "Retry with jitter")
        self.assertLessEqual(RECEIPT, set(receipt))
        new = self.ok("get", receipt["id"])
        self.assertEqual((new["text"], new["tags"], new["supersedes"]), ("Retry with jitter", ["http"], [old]))
        self.assertEqual(self.texts(), ["Retry with jitter"])
        self.fails(3, "not_found", "get", old)
        self.fails(3, "not_found", "revise", old, "again")

    def test_forget_removes_a_record(self):
        id = self.remember("a mistake")
        self.assertEqual(self.ok("forget", id[:10])["id"], id)
        self.fails(3, "not_found", "get", id)
        self.fails(3, "not_found", "forget", id)
        self.assertEqual(self.texts(), [])

    def test_forget_removes_a_private_record(self):
        id = self.remember("a private mistake", "-s", "task_traces")
        self.ok("forget", id)
        self.fails(3, "not_found", "get", id)


class Entries(Case):
    def test_put_show_keys_erase(self):
        value = {"goal": "ship 1.0", "list": [1, 2.5, None, True, "x"], "big": 2**64 - 1, "small": -(2**63)}
        receipt = self.ok("put", "session-context", "goal", json.dumps(value))
        self.assertEqual({key: receipt[key] for key in RECEIPT},
                         {"id": "goal", "segment": "session_context", "scope": "private",
                          "target": "private_store", "existing": False})
        self.assertIs(self.ok("put", "session_context", "goal", json.dumps(value))["existing"], True)
        shown = self.ok("show", "session_context", "goal")
        self.assertEqual(set(shown), {"segment", "key", "value", "author", "at_ms"})
        self.assertEqual((shown["segment"], shown["key"], shown["value"], shown["author"]),
                         ("session_context", "goal", value, "alpha"))
        heads = self.ok("show", "session_context", "goal", "--heads")["heads"]
        self.assertEqual([(head["value"], head["author"]) for head in heads], [(value, "alpha")])
        self.assertEqual(self.ok("keys", "session_context"), {"items": ["goal"], "next": None})
        self.ok("erase", "session_context", "goal")
        self.fails(3, "not_found", "show", "session_context", "goal")
        self.fails(3, "not_found", "erase", "session_context", "goal")
        self.assertEqual(self.ok("keys", "session_context"), {"items": [], "next": None})

    def test_every_json_value_comes_back(self):
        for text in ["null", "true", "0", "-5", "-0.5", "1e300", "0.1", "2.0", '""', '"x"', "[]", "{}", "[[]]",
                     '{"$octets":"00ff"}', '"\\u00e9\\u0000\\ud83e\\udd80"']:
            with self.subTest(text):
                self.ok("put", "instance_config", "k", "--", text)
                shown = self.run_loam("--json", "show", "instance_config", "k").stdout
                self.assertEqual(json.loads(shown)["value"], json.loads(text))

    def test_a_fraction_stays_one(self):
        self.ok("put", "instance_config", "k", "2.0")
        self.assertEqual(self.run_loam("show", "instance_config", "k").stdout, b"2.0\n")

    def test_a_shared_map_has_no_siblings_while_it_is_alone(self):
        self.ok("put", "governance-meta", "owner", '"ops"')
        self.ok("put", "governance_meta", "owner", '"dev"')
        heads = self.ok("show", "governance_meta", "owner", "--heads")["heads"]
        self.assertEqual([head["value"] for head in heads], ["dev"])

    def test_keys_are_in_order_of_their_octets_and_page(self):
        for key in ["b", "a", "ä", "B", "aa"]:
            self.ok("put", "session_context", key, "1")
        seen, cursor = [], ""
        while cursor is not None:
            page = self.ok("keys", "session_context", "-n", "2", "--cursor", cursor)
            seen += page["items"]
            cursor = page["next"]
        self.assertEqual(seen, ["B", "a", "aa", "b", "ä"])


class Exchange(Case):
    def test_what_was_exported_can_be_imported_elsewhere(self):
        self.remember("shared lesson", "-t", "one", "--field", "n:=0.1")
        self.remember("shared pattern", "-s", "org_patterns")
        self.remember("a secret", "-s", "project_history")
        self.ok("put", "governance_meta", "owner", '"ops"')
        self.ok("put", "session_context", "goal", '"secret too"')
        lines = self.run_loam("export").stdout
        self.assertEqual(lines.count(b"\n"), 3)
        self.assertNotIn(b"secret", lines)
        self.assertEqual(self.ok("export")["items"], [json.loads(line) for line in lines.splitlines()])
        everything = self.run_loam("export", "--private").stdout
        self.assertEqual(everything.count(b"\n"), 5)

        beta = self.path("beta")
        self.ok("init", "beta", dir=beta)
        trial = self.ok("import", self.path("all.jsonl", everything), "--dry-run", dir=beta)
        self.assertEqual(trial["refused"], [])
        self.assertEqual(self.texts(dir=beta), [])
        self.assertEqual(self.ok("import", self.path("all.jsonl"), dir=beta),
                         {"written": 5, "existing": 0, "refused": []})
        again = self.ok("import", "-", stdin=lines, dir=beta)
        self.assertEqual((again["written"], again["existing"], again["refused"]), (0, 3, []))
        record, = self.ok("list", "-s", "lessons_learned", dir=beta)["items"]
        self.assertEqual((record["text"], record["tags"], record["authors"]), ("shared lesson", ["one"], ["beta"]))
        self.assertEqual(record["payload"]["n"], 0.1)
        self.assertIn("alpha", json.dumps(record["provenance"]))
        self.assertEqual(self.ok("show", "governance_meta", "owner", dir=beta)["value"], "ops")
        self.assertEqual(self.ok("show", "session_context", "goal", dir=beta)["value"], "secret too")

    def test_export_of_one_segment(self):
        self.remember("shared lesson")
        self.remember("shared pattern", "-s", "org_patterns")
        self.remember("a secret", "-s", "project_history")
        only, = self.ok("export", "-s", "org-patterns")["items"]
        self.assertIn("shared pattern", json.dumps(only))
        both = self.ok("export", "-s", "org_patterns", "-s", "lessons_learned")["items"]
        self.assertEqual(len(both), 2)
        self.assertEqual(len(self.ok("export", "-s", "project_history", "--private")["items"]), 1)

    def test_a_private_segment_is_exported_only_when_private_is_asked_for(self):
        self.remember("a secret", "-s", "project_history")
        done = self.run_loam("--json", "export", "-s", "project_history")
        self.assertNotEqual(done.returncode, 0)
        self.assertNotIn(b"a secret", done.stdout)


class ForPeople(Case):
    def test_every_command_explains_itself_with_an_example(self):
        for command in COMMANDS:
            with self.subTest(command):
                done = self.run_loam(command, "--help")
                self.assertEqual((done.returncode, done.stderr), (0, b""))
                self.assertIn(f"Example:\n  loam", done.stdout.decode())
                self.assertIn(command, done.stdout.decode())
        overview = self.run_loam("--help").stdout.decode()
        for command in COMMANDS:
            self.assertRegex(overview, f"(?m)^  {command} ")

    def test_help_and_version_answer_programs_too(self):
        self.assertRegex(self.run_loam("--version").stdout.decode(), r"^loam \d+\.\d+\.\d+\n$")
        self.assertIn("loam", self.ok("--version")["text"])
        self.assertIn("Example", self.ok("recall", "--help")["text"])

    def test_every_command_prints_something_readable(self):
        id = self.run_loam("remember", "A plain lesson", "-t", "x").stdout.decode().strip()
        self.run_loam("put", "session_context", "goal", '"ship"')
        for args, expected in [(["get", id], "A plain lesson"), (["list"], "A plain lesson"),
                               (["recall", "plain", "--explain"], "A plain lesson"), (["id"], "alpha"),
                               (["status"], "lessons_learned"), (["digest"], "lessons_learned"),
                               (["route", "read", "task_traces"], "private_store"),
                               (["show", "session_context", "goal"], '"ship"'),
                               (["show", "session_context", "goal", "--heads"], "alpha"),
                               (["keys", "session_context"], "goal"), (["export"], "A plain lesson")]:
            with self.subTest(args):
                done = self.run_loam(*args)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertIn(expected, done.stdout.decode())
        self.assertRegex(id, "^[0-9a-z]{26}$")

    def test_control_characters_do_not_reach_a_terminal(self):
        text = "red \x1b[31m bell \x07 csi \x9b rtl \u202e\nid  forged"
        id = self.remember(text, "--title", "red\x1b]0;x\x07", "-t", "tag\x1b")
        self.assertEqual(self.ok("get", id)["text"], text)
        for args in [["get", id], ["list"], ["recall", "red"], ["recall", "red", "--explain"]]:
            shown = self.run_loam(*args).stdout.decode()
            self.assertIn("red", shown)
            self.assertNotRegex(shown, "[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]")
            self.assertNotRegex(shown, "(?m)^id  forged")
        error = self.run_loam("get", "\x1b[31mxxxxxx")
        self.assertNotIn(b"\x1b", error.stderr)

    def test_global_options_stand_before_or_after_the_command(self):
        self.remember("x")
        for args in [["list", "--json"], ["list", "-n", "1", "--json"], ["--json", "list"]]:
            self.assertEqual(len(json.loads(self.run_loam(*args).stdout)["items"]), 1)


if __name__ == "__main__":
    unittest.main()
