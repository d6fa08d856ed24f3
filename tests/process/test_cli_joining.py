"""Coming into a federation, and leaving it: tokens, keys, rights, revocation, with real processes."""
import base64
import json
import os
import subprocess
import unittest

from peers_case import Peers


class Joining(Peers):
    def invited(self, name, *args, endpoint):
        return self.ok("invite", "--name", name, "--endpoint", endpoint, *args)["token"]

    def let_in(self, endpoint, **dirs):
        for name, dir in dirs.items():
            self.ok("join", self.invited(name, "--allow", "all=rw", endpoint=endpoint), dir=dir)
            self.sync(dir, endpoint)

    def member(self, name, dir=None):
        return next(one for one in self.ok("peers", dir=dir)["members"] if one["name"] == name)

    def refused_from(self, name, dir=None):
        """What of that peer was refused, by segment."""
        return next(peer for peer in self.ok("status", dir=dir)["peers"] if peer["name"] == name)["refused"]

    def test_a_token_lets_one_in_and_no_second(self):
        _, endpoint = self.serve(self.dir)
        token = self.invited("beta", "--allow", "lessons_learned=rw,approval_rules=r", endpoint=endpoint)
        self.remember("alpha knows this")
        beta = self.path("beta")
        joined = self.ok("join", token, dir=beta)
        self.assertEqual(joined["federation"], self.alpha["federation"])
        self.assertEqual(joined["name"], "beta")
        self.sync(beta, endpoint)
        self.remember("beta knows that", dir=beta)
        self.sync(beta, endpoint)
        self.assertEqual(sorted(self.records(self.dir).values()), ["alpha knows this", "beta knows that"])
        self.assertEqual(self.member("beta")["permissions"], {"approval_rules": "r", "lessons_learned": "rw"})
        self.assertEqual(self.ok("route", "read", "lessons_learned", "beta")["kind"], "shared_replica")
        self.fails(4, "denied", "route", "read", "org_patterns", "beta")
        self.assertEqual(self.ok("route", "write", "lessons_learned", dir=beta)["kind"], "shared_replica")
        self.fails(4, "denied", "route", "write", "approval_rules", dir=beta)
        self.fails(4, "denied", "put", "approval_rules", "deploy", '"always"', dir=beta)
        self.fails(4, "denied", "remember", "x", "-s", "org_patterns", dir=beta)
        self.fails(4, "denied", "invite", "--name", "gamma", "--endpoint", endpoint, dir=beta)
        self.fails(4, "denied", "invite", "--name", "gamma", "--endpoint", "ws://hub.example.org")
        self.fails(9, "untrusted", "join", token, dir=self.path("thief"))

    def test_a_token_that_was_changed_or_has_expired_is_refused(self):
        _, endpoint = self.serve(self.dir)
        token = self.invited("beta", endpoint=endpoint)
        self.fails(2, "invalid", "join", token[:-1], dir=self.path("new"))
        self.fails(2, "invalid", "join", token[:-1] + ("a" if token[-1] != "a" else "b"), dir=self.path("new"))
        expired = self.invited("beta", "--valid", "1ms", endpoint=endpoint)
        self.fails(9, "untrusted", "join", expired, dir=self.path("late"))

    def test_a_join_that_found_nobody_can_be_tried_again(self):
        process, endpoint = self.serve(self.dir)
        token = self.invited("beta", "--allow", "all=rw", endpoint=endpoint)
        self.stop(process, 15)
        beta = self.path("beta")
        self.fails(6, "unavailable", "join", token, "--timeout", "1s", dir=beta)
        self.fails(4, "denied", "remember", "not in yet", dir=beta)
        self.start("serve", "--listen", endpoint.removeprefix("ws://"))
        self.until(lambda: self.run_loam("join", token, "--timeout", "5s", dir=beta).returncode == 0, "it never joined")

    def test_an_instance_of_another_federation_hears_nothing(self):
        _, endpoint = self.serve(self.dir)
        stranger = self.path("stranger")
        self.ok("init", "stranger", dir=stranger)
        self.fails_to_sync(stranger, endpoint)

    def fails_to_sync(self, dir, endpoint):
        done = self.run_loam("--json", "sync", endpoint, dir=dir)
        self.assertEqual(done.returncode, 9, done.stdout)
        self.assertEqual(json.loads(done.stdout)["peers"][0]["segments"], {})

    def test_whoever_is_suspended_or_revoked_is_out_and_what_was_seen_stays(self):
        beta = self.path("beta")
        _, endpoint = self.serve(self.dir)
        self.ok("join", self.invited("beta", "--allow", "all=rw", endpoint=endpoint), dir=beta)
        self.sync(beta, endpoint)
        self.remember("seen", dir=beta)
        self.sync(beta, endpoint)
        self.ok("peers", "suspend", "beta")
        self.fails_to_sync(beta, endpoint)
        self.ok("peers", "reinstate", "beta")
        self.sync(beta, endpoint)
        self.ok("peers", "revoke", "beta")
        self.remember("unseen", dir=beta)
        self.fails_to_sync(beta, endpoint)
        self.assertEqual(self.member("beta")["status"], "revoked")
        self.assertEqual(list(self.records(self.dir).values()), ["seen"])
        self.fails(4, "denied", "peers", "reinstate", "beta")
        self.fails(4, "denied", "admit", "beta", self.ok("id", dir=beta)["public_key"])

    def test_a_write_in_the_name_of_another_is_refused_by_everybody(self):
        beta, gamma = self.path("beta"), self.path("gamma")
        process, endpoint = self.serve(self.dir)
        self.let_in(endpoint, beta=beta, gamma=gamma)
        self.sync(beta, endpoint)
        alpha = self.ok("id")["id"]
        done = subprocess.run([os.environ["FORGER"], beta, alpha, "alpha says: deploy on fridays"], capture_output=True)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(list(self.records(beta).values()), ["alpha says: deploy on fridays"])
        self.remember("an honest one", dir=beta)
        self.run_loam("sync", endpoint, dir=beta)
        self.assertEqual(list(self.records(self.dir).values()), ["an honest one"])
        self.until(lambda: set(self.refused_from("beta")) == {"lessons_learned"}, "as the serving process has counted")
        self.stop(process)
        _, endpoint = self.serve(beta)
        report, = self.run_json(6, "sync", endpoint, "--timeout", "5s", dir=gamma)["peers"]
        self.assertEqual(report["segments"]["lessons_learned"]["refused"], 1, report)
        self.assertEqual(list(self.records(gamma).values()), ["an honest one"])
        again, = self.run_json(6, "sync", endpoint, "--timeout", "5s", dir=gamma)["peers"]
        count = 1 + again["segments"]["lessons_learned"]["refused"]
        self.assertGreater(count, 1)
        self.assertEqual(self.refused_from("beta", dir=gamma), {"lessons_learned": count})
        self.assertEqual(self.refused_from("alpha", dir=gamma), {})
        for command in ("status", "peers"):
            text = self.run_loam(command, dir=gamma).stdout.decode()
            self.assertIn(f"\nrefused from beta: {count} of lessons_learned\n", text)
            self.assertEqual(text.count("refused"), 1, text)

    def test_an_export_keeps_authors_whose_signatures_are_right(self):
        beta, gamma, other = self.path("beta"), self.path("gamma"), self.path("other")
        _, endpoint = self.serve(self.dir)
        self.let_in(endpoint, beta=beta, gamma=gamma)
        self.sync(beta, endpoint)
        id = self.remember("beta has learnt this", dir=beta)
        self.remember("and this", dir=beta)
        lines = self.run_loam("export", dir=beta).stdout.decode().splitlines()
        authors = lambda dir: {item["text"]: item["authors"] for item in self.ok("list", dir=dir)["items"]}
        done = self.ok("import", "-", stdin="\n".join(lines), dir=gamma)
        self.assertEqual((done["written"], done["existing"]), (2, 0))
        self.assertEqual(authors(gamma), {"beta has learnt this": ["beta"], "and this": ["beta"]})
        again = self.ok("import", "-", stdin="\n".join(lines), dir=gamma)
        self.assertEqual((again["written"], again["existing"]), (0, 2))
        self.sync(gamma, endpoint)
        self.assertEqual(self.ok("get", id)["authors"], ["beta"])
        # Of another federation, and altered: whoever imports is the author.
        self.ok("init", "other", dir=other)
        self.assertEqual(self.ok("import", "-", stdin="\n".join(lines), dir=other)["written"], 2)
        self.assertEqual(authors(other), {"beta has learnt this": ["other"], "and this": ["other"]})
        self.ok("verify", "--deep", dir=gamma)

    def test_what_was_altered_in_an_export_is_not_its_author_s(self):
        beta, gamma = self.path("beta"), self.path("gamma")
        _, endpoint = self.serve(self.dir)
        self.let_in(endpoint, beta=beta, gamma=gamma)
        self.remember("beta has learnt this", dir=beta)
        line = json.loads(self.run_loam("export", dir=beta).stdout)
        octets = bytearray(base64.b64decode(line["signed"]))
        altered = []
        for at in range(len(octets)):
            octets[at] ^= 1
            packet = {**line["packet"], "payload": {"text": f"altered at {at}"}}
            altered.append(json.dumps({**line, "signed": base64.b64encode(octets).decode(), "packet": packet}))
            octets[at] ^= 1
        self.assertEqual(self.ok("import", "-", stdin="\n".join(altered), dir=gamma)["written"], len(octets))
        items = self.ok("list", "-n", "1000", dir=gamma)["items"]
        authors = {item["text"]: item["authors"] for item in items}
        # Where what was altered is not what beta has signed, the record is in order, and beta's.
        self.assertEqual(authors.pop("beta has learnt this", ["beta"]), ["beta"])
        self.assertEqual(authors, {f"altered at {at}": ["gamma"] for at in range(len(octets))})

    def test_rights_that_are_given_later_count_after_the_next_round(self):
        beta = self.path("beta")
        _, endpoint = self.serve(self.dir)
        self.ok("join", self.invited("beta", "--allow", "lessons_learned=r", endpoint=endpoint), dir=beta)
        self.sync(beta, endpoint)
        self.fails(4, "denied", "remember", "x", dir=beta)
        self.ok("peers", "grant", "beta", "--allow", "lessons_learned=rw")
        self.sync(beta, endpoint)
        self.remember("x", dir=beta)
        self.sync(beta, endpoint)
        self.assertEqual(list(self.records(self.dir).values()), ["x"])

    def test_bad_rights_names_and_keys(self):
        key = self.ok("id", "--make", dir=self.path("other"))["public_key"]
        for args in [["--allow", "lessons_learned"], ["--allow", "lessons_learned=x"], ["--allow", "lessons_learned=wr"],
                     ["--allow", "task_traces=r"], ["--role", "king"], ["--listens", "http://x"]]:
            with self.subTest(args):
                self.fails(2, "invalid", "admit", "beta", key, *args)
        self.fails(2, "unknown_segment", "admit", "beta", key, "--allow", "nothing=r")
        self.fails(2, "invalid", "admit", "Beta", key)
        for bad in ["", "zz", "d7" * 31, "d7" * 33]:
            self.fails(2, "invalid", "admit", "beta", bad)
        for bad in ["00" * 32, "01" + "00" * 31, "ff" * 32]:
            self.fails(9, "untrusted", "admit", "beta", bad)
        self.fails(3, "not_found", "peers", "revoke", "nobody")
        self.fails(2, "invalid", "peers", "revoke", "alpha")
        self.fails(4, "denied", "put", "instance_registry", "x", "1")


class JoiningOverTls(Joining):
    scheme = "wss://"


if __name__ == "__main__":
    unittest.main()
