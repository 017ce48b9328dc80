"""Compares members of a JSON object: expect.py FILE NAME VALUE [NAME VALUE]...

VALUE is JSON, or a comparison such as '<= 6'. All that differ are named.
"""
import json
import operator
import sys

COMPARE = {"<=": operator.le, ">=": operator.ge, ">": operator.gt, "<": operator.lt}

with open(sys.argv[1], encoding="utf-8") as file:
    found = json.load(file)
wrong = 0
for name, wanted in zip(sys.argv[2::2], sys.argv[3::2], strict=True):
    sign, _, value = wanted.partition(" ")
    good = COMPARE[sign](found[name], json.loads(value)) if sign in COMPARE else found[name] == json.loads(wanted)
    if not good:
        print(f"{name}: {json.dumps(found[name])} instead of {wanted}", file=sys.stderr)
        wrong += 1
sys.exit(wrong > 0)
