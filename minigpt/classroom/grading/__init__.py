"""Grade what students hand in: `minigpt grade submissions/ --out grades.csv --feedback out/`.

collect      the files of a folder: whose, which exercise, and what is not graded and why
examination  one submission: its code runs in a process of its own, its outputs are judged in this one
grade        all of them; grades so far when stopped
table, page  the CSV, and a page for each student

A student's code runs in `child`, started and ended by `separately`. Only outputs come back, as `wire` writes them.
"""
