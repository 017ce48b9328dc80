"""Compares the word list in corpus's JSON with lines "count word" in any order: words.py JSON LINES"""
import json
import sys

with open(sys.argv[1], encoding="utf-8") as file:
    found = json.load(file)
with open(sys.argv[2], encoding="ascii") as file:
    reference = [(int(count), word) for count, word in map(str.split, file)]
reference.sort(key=lambda entry: (-entry[0], entry[1]))

top = [(entry["count"], entry["word"]) for entry in found["top"]]
problems = []
if top != reference:
    missing, extra = set(reference) - set(top), set(top) - set(reference)
    abbreviate = lambda entries: [(count, word[:40]) for count, word in sorted(entries)[:10]]
    problems.append(f"missing {abbreviate(missing)}, too many {abbreviate(extra)}" if missing or extra else "order, or a word twice")
if found["words"] != sum(count for count, _ in reference):
    problems.append(f"words: {found['words']}")
if found["distinct"] != len(reference):
    problems.append(f"distinct: {found['distinct']}")
for problem in problems:
    print(problem, file=sys.stderr)
sys.exit(bool(problems))
