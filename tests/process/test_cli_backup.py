"""backup and restore, as an operator does them."""
import os
import stat
import unittest

from cli_case import Case


class Backup(Case):
    def test_with_the_key_it_is_the_instance_again(self):
        self.remember("a lesson")
        self.ok("remember", "private", "-s", "project_history")
        target = self.path("backup")
        report = self.ok("backup", target, "--private")
        self.assertEqual(set(report), {"octets", "private"})
        self.assertGreater(report["octets"], 0)
        self.assertTrue(report["private"])
        self.assertEqual(stat.S_IMODE(os.stat(target).st_mode), 0o700)
        self.assertEqual(stat.S_IMODE(os.stat(os.path.join(target, "identity.key")).st_mode), 0o600)
        restored = self.path("restored")
        made = self.ok("restore", target, dir=restored)
        self.assertEqual((made["name"], made["id"], made["new_key"], made["member"]),
                         ("alpha", self.alpha["id"], False, True))
        self.assertEqual(self.ok("digest"), self.ok("digest", dir=restored))
        self.assertEqual([item["text"] for item in self.ok("list", "-s", "project_history", dir=restored)["items"]],
                         ["private"])
        self.ok("verify", "--deep", dir=restored)
        self.ok("remember", "goes on", dir=restored)

    def test_without_the_key_it_is_somebody_whom_a_governor_admits(self):
        self.remember("a lesson")
        target, restored = self.path("backup"), self.path("restored")
        self.ok("backup", target)
        made = self.ok("restore", target, dir=restored)
        self.assertEqual((made["new_key"], made["member"]), (True, False))
        self.assertNotEqual(made["id"], self.alpha["id"])
        self.fails(4, "denied", "remember", "of nobody", dir=restored)
        file = self.path("federation")
        self.ok("admit", "again", made["public_key"], "--allow", "all=rw", "--out", file)
        self.ok("join", "--federation", file, "--name", "alpha", dir=restored)
        self.ok("remember", "of a member", dir=restored)

    def test_people_are_told_what_to_do(self):
        target, restored = self.path("backup"), self.path("restored")
        self.assertIn(b"octets in", self.run_loam("backup", target).stdout)
        told = self.run_loam("restore", target, dir=restored).stdout
        self.assertIn(b"this one is new", told)
        self.assertIn(b"loam admit NAME", told)

    def test_a_directory_in_use_is_refused_with_2_and_stays(self):
        self.ok("backup", self.path("backup"))
        digest = self.ok("digest")
        self.fails(2, "invalid", "restore", self.path("backup"))
        self.fails(2, "invalid", "backup", self.path("backup"))
        self.assertEqual(self.ok("digest"), digest)
        self.fails(3, "not_found", "restore", self.path("nothing"), dir=self.path("restored"))
        self.fails(2, "invalid", "restore", self.path("backup"), "-s", "lessons_learned", dir=self.path("restored"))
        self.assertFalse(os.path.exists(self.path("restored")))
        self.assertEqual([name for name in os.listdir(self.scratch) if "staging" in name], [])

    def test_a_damaged_one_is_refused_with_7(self):
        for i in range(20):
            self.remember(f"lesson {i}")
        self.ok("backup", self.path("backup"))
        file = os.path.join(self.path("backup"), "shared", "data.mdb")
        with open(file, "rb") as sound:
            octets = sound.read()
        at = octets.find(b"lesson 7")
        self.assertGreater(at, 0)
        with open(file, "wb") as damaged:
            damaged.write(octets[:at] + b"L" + octets[at + 1:])
        self.fails(7, "damaged", "restore", self.path("backup"), dir=self.path("restored"))
        self.fails(7, "damaged", "restore", self.path("backup"), "--as-new")
        self.assertFalse(os.path.exists(self.path("restored")))

    def test_as_new_brings_back_what_was_removed(self):
        gone = self.remember("gone")
        self.remember("here")
        self.ok("backup", self.path("backup"))
        self.ok("forget", gone)
        self.assertEqual(self.ok("restore", self.path("backup"), "--as-new"),
                         {"written": 1, "existing": 1, "refused": []})
        self.assertEqual(self.ok("get", gone)["text"], "gone")
        told = self.run_loam("restore", self.path("backup"), "--as-new").stdout
        self.assertEqual(told, b"brought back 0 (2 are here), refused 0\n")

    def test_it_is_made_while_a_server_runs(self):
        self.remember("a lesson")
        server = self.start("serve", "--listen", "127.0.0.1:0")
        self.line_of(server)
        self.ok("backup", self.path("backup"), "--private")
        self.stop(server)
        self.ok("restore", self.path("backup"), dir=self.path("restored"))
        self.assertEqual(self.ok("digest"), self.ok("digest", dir=self.path("restored")))


if __name__ == "__main__":
    unittest.main()
