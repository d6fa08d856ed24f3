"""Approval rules through the command line, between real processes."""
import itertools
import json
import os
import subprocess
import unittest

from cli_case import RECEIPT, RUNS_FACTOR
from peers_case import Peers

CHECK = {"effect", "requirement", "matched", "conflicts", "defaulted", "rules_digest", "age_ms", "stale"}
ASK = {"effect": "require_approval", "actions": ["deploy"]}


class Rules(Peers):
    def set(self, id, rule, dir=None):
        return self.ok("rules", "set", "-", stdin=json.dumps({"id": id, **rule}), dir=dir)

    def check(self, code, action, *args, dir=None):
        answer = self.run_json(code, "rules", "check", action, *args, dir=dir)
        self.assertLessEqual(CHECK, set(answer))
        return answer

    def test_the_exit_code_is_the_decision(self):
        decision = self.check(5, "deploy")
        self.assertEqual((decision["effect"], decision["defaulted"], decision["risk"]), ("require_approval", True, "high"))
        self.assertEqual(decision["requirement"]["min_approvals"], 1)
        self.assertLessEqual(RECEIPT, set(self.set("push", {"effect": "allow", "actions": ["push"]})))
        self.assertIsNone(self.check(0, "push")["requirement"])
        self.set("tell", {"effect": "notify", "actions": ["push"], "reason": "we like to know"})
        self.assertEqual(self.check(0, "push")["effect"], "notify")
        self.set("never", {"effect": "deny", "resources": ["prod/*"]})
        self.assertEqual(self.check(4, "push", "--resource", "prod/eu")["effect"], "deny")
        self.assertIs(self.check(4, "push")["matched"][0]["sure"], False)
        self.check(0, "push", "--resource", "")
        self.check(0, "push", "--resource", "dev/eu", "--risk", "critical")
        done = self.run_loam("rules", "check", "push", "--resource", "prod/eu")
        self.assertEqual(done.returncode, 4)
        self.assertIn(b"never: deny by alpha", done.stdout)

    def test_what_is_asked_reaches_the_rules(self):
        self.set("r", {"effect": "deny", "actions": ["pay"], "subjects": ["agent-*"], "environments": ["prod"],
                       "conditions": [{"field": "amount", "op": "greater_than", "value": 100}]})
        full = ["--subject", "agent-7", "--env", "prod", "--context", "amount:=500"]
        self.check(4, "pay", *full)
        self.check(5, "pay", *full[:-1], "amount:=50")
        self.check(5, "pay", "--subject", "alice", *full[2:])
        self.check(5, "pay", *full[:2], "--env", "dev", *full[4:])
        self.check(4, "pay")
        for args in (["--risk", "extreme"], ["--context", "amount"], ["--context", "a=1", "--context", "a=2"], ["--at", "x"]):
            with self.subTest(args):
                self.fails(2, "invalid", "rules", "check", "pay", *args)

    def test_rules_are_shown_listed_explained_and_removed(self):
        self.set("ask", {**ASK, "owner": "team x"})
        shown = self.ok("rules", "show", "ask", "--heads")
        self.assertEqual(shown["rule"], {**ASK, "owner": "team x"})
        self.assertEqual((shown["effective"]["effect"], shown["effective"]["requirement"]["min_approvals"]),
                         ("require_approval", 1))
        head, = shown["heads"]
        self.assertEqual((head["rule"], head["author"], head["void"]), (shown["rule"], "alpha", False))
        self.assertEqual([item["id"] for item in self.ok("rules", "list")["items"]], ["ask"])
        self.assertEqual(self.ok("show", "approval_rules", "ask")["value"], shown["rule"])
        considered, = self.run_json(5, "rules", "explain", "push")["considered"]
        self.assertEqual((considered["matches"], considered["why"]), ("no", "actions: no match"))
        self.ok("rules", "remove", "ask")
        self.fails(3, "not_found", "rules", "remove", "ask")
        self.fails(3, "not_found", "rules", "show", "ask")
        self.assertEqual(self.ok("rules", "list")["items"], [])

    def test_what_is_no_rule_is_refused_and_nothing_is_written(self):
        for rule in ("", "[]", "{}", '"deny"', '{"id": "a"}', '{"id": "a", "effect": "permit"}', '{"effect": "deny"}',
                     '{"id": "a", "effect": "allow"}', '{"id": "a", "effect": "allow", "actions": []}',
                     '{"id": "a", "effect": "deny", "actions": ["de*ploy"]}', '{"id": "", "effect": "deny"}',
                     '{"id": "a", "effect": "deny", "expires_at_ms": -1}',
                     '{"id": "a", "effect": "deny", "expires_at_ms": 18446744073709551615}',
                     '[{"id": "a", "effect": "deny"}, {"id": "b", "effect": "permit"}]'):
            with self.subTest(rule):
                self.fails(2, "invalid", "rules", "set", "-", stdin=rule)
        large = json.dumps({"id": "a", "effect": "deny", "reason": "x" * (256 * 1024 + 1)})
        self.fails(8, "limit", "rules", "set", "-", stdin=large)
        self.assertEqual(self.ok("rules", "list")["items"], [])
        both = self.ok("rules", "set", "-", stdin=json.dumps([{"id": "a", "effect": "deny"}, {"id": "b", **ASK}]))
        self.assertEqual([item["id"] for item in both["items"]], ["a", "b"])

    def test_rules_are_tried_before_they_are_set(self):
        self.set("ask", ASK)
        file = self.path("cases.json", json.dumps({
            "rules": [{"id": "free", "effect": "allow", "actions": ["push"]}], "remove": ["ask"],
            "cases": [{"action": "push", "effect": "allow"}, {"action": "deploy", "effect": "require_approval"},
                      {"action": "push", "resource": "x", "risk": "critical", "context": {"a": 1}, "effect": "allow"}]}))
        answer = self.ok("rules", "test", file)
        self.assertEqual((answer["passed"], answer["failed"]), (3, 0))
        self.assertEqual([item["id"] for item in self.ok("rules", "list")["items"]], ["ask"])
        wrong = json.dumps({"cases": [{"action": "push", "effect": "allow"}]})
        answer = self.run_json(1, "rules", "test", "-", stdin=wrong)
        self.assertEqual((answer["failed"], answer["items"][0]["decision"]["effect"]), (1, "require_approval"))
        for bad in ("[]", "{}", '{"cases": [{}]}', '{"cases": [{"action": "x", "effect": "maybe"}]}', '{"cases": 1}',
                    '{"cases": [{"effect": "deny"}]}', '{"cases": [], "rules": [{"id": "a", "effect": "permit"}]}'):
            with self.subTest(bad):
                self.fails(2, "invalid", "rules", "test", "-", stdin=bad)

    def test_what_has_changed_since_a_digest(self):
        self.set("ask", ASK)
        before = self.check(5, "deploy")["rules_digest"]
        self.set("ask", {**ASK, "effect": "deny"})
        answer = self.ok("rules", "diff", before)
        change, = answer["items"]
        self.assertEqual((change["id"], change["before"][0]["rule"]["effect"], change["after"][0]["rule"]["effect"]),
                         ("ask", "require_approval", "deny"))
        self.fails(3, "not_found", "rules", "diff", "0" * 32)

    def test_the_incident_in_all_orders_on_three_processes(self):
        beta, gamma = self.instance("beta"), self.instance("gamma")
        dirs = {"alpha": self.dir, "beta": beta, "gamma": gamma}
        orders = list(itertools.permutations([("beta", "alpha"), ("gamma", "alpha"), ("gamma", "beta")]))
        for number, order in enumerate(orders if RUNS_FACTOR >= 1 else orders[:2]):
            with self.subTest(order):
                rule = f"deploy_{number}"
                ask = {**ASK, "actions": [rule]}
                self.set(rule, ask)
                serving, endpoint = self.serve(self.dir)
                for dir in (beta, gamma):
                    self.sync(dir, endpoint)
                self.stop(serving)
                self.set(rule, {**ask, "requirement": {"min_approvals": 2}})
                self.set(rule, {**ask, "effect": "notify"}, dir=beta)
                self.check(0, rule, dir=beta)
                for one, other in [*order, *order]:
                    serving, endpoint = self.serve(dirs[other])
                    self.sync(dirs[one], endpoint)
                    self.stop(serving)
                for dir in dirs.values():
                    decision = self.check(5, rule, dir=dir)
                    self.assertEqual((decision["requirement"]["min_approvals"], decision["conflicts"]), (2, [rule]))
                    self.assertEqual([item["id"] for item in self.ok("rules", "conflicts", dir=dir)["items"]], [rule])
                digests = {self.check(5, rule, dir=dir)["rules_digest"] for dir in dirs.values()}
                self.assertEqual(len(digests), 1)
                self.ok("rules", "remove", rule, dir=gamma)  # which has seen both
                self.assertEqual(self.ok("rules", "conflicts", dir=gamma)["items"], [])
                serving, endpoint = self.serve(gamma)
                for dir in (self.dir, beta):
                    self.sync(dir, endpoint)
                self.stop(serving)

    def test_a_running_loop_of_another_instance_sees_the_change(self):
        beta = self.instance("beta")
        _, endpoint = self.serve(self.dir)
        with open(os.path.join(beta, "config.toml"), "w", encoding="utf-8") as config:
            config.write(f'endpoints = ["{endpoint}"]\n')
        self.serve(beta)
        loop = subprocess.Popen([os.environ["RULE_LOOP"], beta, "deploy"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, bufsize=0)
        for stream in (loop.stderr, loop.stdout):
            self.addCleanup(stream.close)
        self.addCleanup(loop.wait)
        self.addCleanup(loop.kill)
        self.assertEqual(self.line_of(loop), "require_approval 1")
        self.set("deploy", {"effect": "allow", "actions": ["deploy"]})
        self.assertEqual(self.line_of(loop), "allow")
        self.set("deploy", {**ASK, "requirement": {"min_approvals": 3}})
        self.assertEqual(self.line_of(loop), "require_approval 3")
        self.ok("rules", "remove", "deploy")
        self.assertEqual(self.line_of(loop), "require_approval 1")
        loop.stdin.close()
        self.assertEqual(loop.wait(timeout=60), 0)


if __name__ == "__main__":
    unittest.main()
