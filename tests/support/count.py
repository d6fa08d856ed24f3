"""Adds up Meson's test logs (one JSON object a line) and ends with 'N passed, N failed'."""
import json
import sys

passed, failed = 0, 0
for path in sys.argv[1:]:
    try:
        with open(path) as log:
            lines = log.readlines()
    except OSError as error:
        print(f"no test log: {error}")
        failed += 1
        continue
    for line in lines:
        test = json.loads(line)
        if test["result"] in ("OK", "EXPECTEDFAIL"):
            passed += 1
        elif test["result"] != "SKIP":
            failed += 1
            print(f"{path.split('/')[0]}: {test['name']}: {test['result']}")
print(f"{passed} passed, {failed} failed")
sys.exit(1 if failed or not passed else 0)
