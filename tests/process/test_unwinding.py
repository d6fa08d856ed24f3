"""Exceptions find their way through every function of the program: the table that the unwinder searches has, for each
address at which a function or a part of one begins, an entry that is not empty."""
import os
import re
import struct
import subprocess
import unittest

LOAM = os.environ["LOAM"]


def section(name):
    """The octets of a section, and its address."""
    listing = subprocess.run(["readelf", "-SW", LOAM], capture_output=True, text=True, check=True).stdout
    found = re.search(rf" {re.escape(name)} +\S+ +([0-9a-f]+) ([0-9a-f]+) ([0-9a-f]+)", listing)
    address, offset, size = (int(number, 16) for number in found.groups())
    with open(LOAM, "rb") as file:
        file.seek(offset)
        return file.read(size), address


def frames():
    """Where each entry is in .eh_frame, and what it is of: offset, first address, end."""
    listing = subprocess.run(["readelf", "--debug-dump=frames", LOAM], capture_output=True, text=True, check=True).stdout
    listing = listing.partition(".debug_frame")[0]
    found = re.findall(r"^([0-9a-f]+) \S+ \S+ FDE .*pc=([0-9a-f]+)\.\.([0-9a-f]+)", listing, re.MULTILINE)
    return [tuple(int(number, 16) for number in each) for each in found]


class Unwinding(unittest.TestCase):
    def test_no_function_is_hidden_by_an_empty_one(self):
        _, eh_frame = section(".eh_frame")
        table, at = section(".eh_frame_hdr")
        self.assertEqual(table[:4], b"\x01\x1b\x03\x3b")
        count, = struct.unpack_from("<I", table, 8)
        entries = [struct.unpack_from("<ii", table, 12 + 8 * i) for i in range(count)]
        # Of equal addresses the search ends at the last.
        found = {at + begin: at + where - eh_frame for begin, where in entries}
        ends = {where: end for where, _, end in frames()}
        whole = {begin: end for _, begin, end in frames() if end > begin}
        self.assertGreater(len(whole), 1000)
        hidden = [hex(begin) for begin in whole if ends.get(found.get(begin)) != whole[begin]]
        self.assertEqual(hidden, [])


if __name__ == "__main__":
    unittest.main()
