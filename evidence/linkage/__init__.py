"""Record linkage: is this record the cited work, are two records one work, which work is a notice about?"""
