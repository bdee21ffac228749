"""How right are the rules, the matching and the duplicate detection, measured on labelled files?"""
