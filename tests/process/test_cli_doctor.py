"""verify and doctor: what they say of sound and of damaged stores, and what they repair."""
import glob
import json
import os
import unittest

from cli_case import Case

PAGE = 4096


class DoctorCase(Case):
    def file(self, store="shared"):
        return os.path.join(self.dir, store, "data.mdb")

    def damage(self, store, change):
        """Changes the octets of a data file."""
        with open(self.file(store), "rb") as file:
            octets = bytearray(file.read())
        change(octets)
        with open(self.file(store), "r+b") as file:  # never shorter meanwhile: it may be mapped
            file.write(octets)
            file.truncate()

    def damage_text(self, store, text):
        def change(octets):
            at = octets.find(text)
            self.assertGreaterEqual(at, 0)
            while at >= 0:
                octets[at + 3] ^= 4
                at = octets.find(text, at + 1)
        self.damage(store, change)

    def damage_pages(self, store):
        """Makes every leaf page say that it is something else."""
        def change(octets):
            for at in range(2 * PAGE, len(octets), PAGE):
                if octets[at + 10] == 2:
                    octets[at + 10] = 4
        self.damage(store, change)

    def states(self, code, *args):
        return {item["state"]: item for item in self.run_json(code, "doctor", *args)["items"]}


class Sound(DoctorCase):
    def test_verify_says_sound_and_how_large(self):
        self.remember("one")
        for args in [(), ("--deep",)]:
            report = self.ok("verify", *args)
            self.assertTrue(report["sound"])
            self.assertEqual((report["findings"], report["faults"], report["deep"]), ([], 0, args != ()))
            self.assertEqual(set(report["stores"]), {"shared", "private"})
            self.assertEqual(report["stores"]["shared"]["octets"], os.path.getsize(self.file()))

    def test_doctor_has_nothing_to_tell(self):
        self.remember("one")
        self.assertEqual(self.ok("doctor"), {"items": [], "next": None, "damaged": False})
        self.assertIn(b"nothing to tell", self.run_loam("doctor").stdout)

    def test_both_work_beside_a_server(self):
        server = self.start("serve", "--listen", "127.0.0.1:0")
        self.line_of(server)
        self.remember("one")
        self.ok("verify", "--deep")
        self.ok("doctor")
        self.stop(server)

    def test_neither_makes_a_directory(self):
        for command in ["verify", "doctor"]:
            self.fails(3, "not_found", command, dir=self.path("nothing"))
        self.assertFalse(os.path.exists(self.path("nothing")))

    def test_modes_are_told_and_mended(self):
        os.chmod(os.path.join(self.dir, "config.toml"), 0o644)
        self.assertIn("unsafe_mode", self.states(0))
        self.assertTrue(self.states(0, "--fix")["unsafe_mode"]["fixed"])
        self.assertEqual(self.states(0), {})

    def test_leftovers_are_told_and_removed(self):
        os.mkdir(os.path.join(self.dir, "shared", "new.abcdef"))
        self.assertIn("leftover_directory", self.states(0))
        self.states(0, "--fix")
        self.assertEqual(self.states(0), {})


class Records(DoctorCase):
    def test_a_damaged_record_is_told_forgotten_and_fetched_again(self):
        beta = self.join("beta")
        kept = self.remember("a lesson that is kept")
        hit = self.remember("a lesson that is hit")
        server = self.start("serve", "--listen", "127.0.0.1:0", dir=beta)
        endpoint = self.line_of(server).split()[-1]
        self.ok("sync", endpoint)
        self.damage_text("shared", b"lesson that is hit")
        report = self.run_json(7, "verify")
        self.assertEqual([finding["table"] for finding in report["findings"]], ["rec"])
        self.assertEqual(self.states(7)["damaged_records"]["urgency"], "damage")
        self.assertTrue(self.states(7, "--fix")["damaged_records"]["fixed"])
        self.ok("verify", "--deep")
        self.assertIn("forgotten_records", self.states(7))
        page = self.ok("list")
        self.assertEqual([item["id"] for item in page["items"]], [kept])
        self.assertEqual(self.ok("recall", "lesson")["coverage"]["damaged"], 1)
        self.assertTrue(self.ok("sync", endpoint)["converged"])
        self.assertEqual(self.ok("get", hit)["text"], "a lesson that is hit")
        self.assertEqual(set(self.states(0)), {"repaired_records"})
        self.assertEqual(self.ok("digest"), self.ok("digest", dir=beta))

    def test_an_export_leaves_a_damaged_record_out_and_fails_with_that(self):
        self.remember("lesson to damage")
        self.remember("sound lesson")
        self.damage_text("shared", b"lesson to damage")
        out = self.run_json(7, "export")
        self.assertEqual((len(out["items"]), out["damaged"]), (1, 1))
        plain = self.run_loam("export")
        self.assertEqual((plain.returncode, len(plain.stdout.splitlines())), (7, 1))
        self.assertIn(b"1 records or keys cannot be read", plain.stderr)

    def test_a_list_leaves_a_damaged_record_out_and_says_so(self):
        self.remember("a lesson that is kept")
        hit = self.remember("a lesson that is hit")
        self.damage_text("shared", b"lesson that is hit")
        self.fails(7, "damaged", "get", hit)
        self.assertEqual(self.texts(), ["a lesson that is kept"])

    def test_a_damaged_private_record_can_only_be_removed(self):
        hit = self.remember("private and hit", "-s", "project_history")
        self.damage_text("private", b"private and hit")
        self.assertEqual(self.ok("list", "-s", "project_history")["coverage"], {"damaged": 1})
        self.assertIn("damaged_private", self.states(7, "--fix"))
        self.ok("forget", hit)
        self.assertEqual(self.states(0), {})


class Stores(DoctorCase):
    def setUp(self):
        super().setUp()
        self.remember("shared one")
        self.remember("private one", "-s", "project_history")
        self.ok("put", "governance_meta", "key", "1")
        self.id = self.ok("id")

    def aside(self, store):
        found = glob.glob(os.path.join(self.dir, store + ".damaged-*"))
        self.assertEqual(len(found), 1)
        return found[0]

    def test_a_damaged_store_is_told_and_nothing_is_touched(self):
        self.damage_pages("shared")
        with open(self.file(), "rb") as file:
            before = file.read()
        self.run_json(7, "verify")
        item = self.states(7)["damaged_store"]
        self.assertIn("--fix", item["advice"])
        with open(self.file(), "rb") as file:
            self.assertEqual(file.read(), before)

    def test_a_damaged_shared_store_is_set_aside_and_begun_anew_under_the_same_identity(self):
        with open(self.file(), "rb") as file:
            sound = file.read()
        self.damage_pages("shared")
        with open(self.file(), "rb") as file:
            damaged = file.read()
        states = self.states(0, "--fix")
        self.assertTrue(states["damaged_store"]["fixed"])
        with open(os.path.join(self.aside("shared"), "data.mdb"), "rb") as file:
            self.assertEqual(file.read(), damaged)
        self.assertNotEqual(sound, damaged)
        self.assertEqual(self.ok("id"), self.id)
        self.assertEqual(self.texts(), ["private one"])
        self.remember("and on it goes")
        self.assertEqual(set(self.states(0)), {"set_aside"})
        self.ok("verify", "--deep")

    def test_what_is_readable_of_a_damaged_store_can_be_imported(self):
        # A number that the free list may not hold: the structure is damaged, every record readable.
        def change(octets):
            for at in (0, PAGE):
                octets[at + 16 + 24 + 48 + 8] ^= 1  # the pages of the tree of tables
        self.damage("shared", change)
        self.states(0, "--fix")
        lines = os.path.join(self.aside("shared"), "salvage.jsonl")
        self.assertEqual(os.stat(lines).st_mode & 0o777, 0o600)
        self.assertEqual(self.ok("import", lines)["written"], 2)
        self.assertEqual(set(self.texts()), {"shared one", "private one"})
        self.assertEqual(self.ok("show", "governance_meta", "key")["value"], 1)

    def test_of_a_damaged_store_no_rule_is_offered_that_lifts(self):
        """Who imports it would be its author, and may have rights that whoever wrote it had not."""
        rules = [{"id": "stop", "effect": "deny", "actions": ["deploy"]}, {"id": "free", "effect": "allow", "actions": ["push"]},
                 {"id": "tell", "effect": "notify", "actions": ["read"]}, {"id": "ask", "effect": "require_approval"},
                 {"id": "once_free", "effect": "allow", "actions": ["build"]}]
        self.ok("rules", "set", "-", stdin=json.dumps(rules))
        self.ok("rules", "set", "-", stdin=json.dumps({**rules[4], "effect": "deny"}))

        def change(octets):
            for at in (0, PAGE):
                octets[at + 16 + 24 + 48 + 8] ^= 1
        self.damage("shared", change)
        self.states(0, "--fix")
        lines = os.path.join(self.aside("shared"), "salvage.jsonl")
        self.ok("import", lines)
        kept = {item["id"]: item["rule"]["effect"] for item in self.ok("rules", "list")["items"]}
        self.assertEqual(kept, {"stop": "deny", "ask": "require_approval", "once_free": "deny"})

    def test_a_damaged_private_store_is_set_aside_and_its_records_can_be_imported(self):
        self.ok("put", "session_context", "key", "2")

        def change(octets):
            for at in (0, PAGE):
                octets[at + 16 + 24 + 48 + 8] ^= 1
        self.damage("private", change)
        self.states(0, "--fix")
        self.assertEqual(self.texts(), ["shared one"])
        self.assertEqual(self.ok("import", os.path.join(self.aside("private"), "salvage.jsonl"))["written"], 2)
        self.assertEqual(set(self.texts()), {"shared one", "private one"})
        self.assertEqual(self.ok("show", "session_context", "key")["value"], 2)

    def test_a_cut_file_is_damage(self):
        def change(octets):
            del octets[5 * PAGE:]
        self.damage("shared", change)
        self.fails(7, "damaged", "list")
        self.states(7)
        self.states(0, "--fix")
        self.assertEqual(self.ok("id"), self.id)

    def test_when_both_stores_are_gone_the_name_must_be_given(self):
        federation = self.path("federation")
        self.ok("admit", "other", self.ok("id", "--make", dir=self.path("other"))["public_key"], "--out", federation)
        for store in ["shared", "private"]:
            with open(self.file(store), "wb") as file:
                file.write(b"\0" * 40960)
        self.assertFalse(self.states(1, "--fix")["damaged_store"]["fixed"])
        self.states(0, "--fix", "--name", "alpha", "--federation", federation)
        self.assertEqual(self.ok("id"), self.id)

    def test_a_store_that_somebody_has_open_is_not_set_aside(self):
        server = self.start("serve", "--listen", "127.0.0.1:0")
        self.line_of(server)
        self.damage_pages("shared")
        item = self.states(1, "--fix")["damaged_store"]
        self.assertFalse(item["fixed"])
        self.assertIn(str(server.pid), item["advice"])
        self.stop(server)
        self.states(0, "--fix")


class Absent(DoctorCase):
    def test_a_record_leaves_traces_until_its_pages_are_written_over(self):
        kept = self.remember("a lesson")
        report = self.run_json(1, "verify", "--absent", kept)
        self.assertTrue(report["live"] and report["used_pages"] > 0)
        self.ok("forget", kept)
        self.assertFalse(self.run_json(1, "verify", "--absent", kept)["live"])

    def test_what_never_was_is_absent(self):
        for what in ["7zzzzzzzzzzzzzzzzzzzzzzzzz", "a text that nobody wrote"]:
            report = self.ok("verify", "--absent", what)
            self.assertEqual((report["absent"], report["live"]), (True, False))

    def test_a_text_is_looked_for_as_it_is(self):
        self.remember("a lesson with a password in it")
        self.assertFalse(self.run_json(1, "verify", "--absent", "password")["absent"])


if __name__ == "__main__":
    unittest.main()
