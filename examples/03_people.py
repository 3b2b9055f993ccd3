"""A folder with a folder per person to one file with a template per person.

Needs the folder that `probefusion demo --crops people` makes.
"""

from itertools import combinations

import probefusion as pf

people = pf.Pipeline(aligned=True).fuse_people("people").templates
people.save("people.npz", force=True)

people = pf.TemplateSet.load("people.npz")
for one, other in combinations(people, 2):
    print(one, other, round(people[one].similarity(people[other]), 3))
