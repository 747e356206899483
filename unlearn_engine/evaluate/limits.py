"""The thresholds of a pass, and why they are where they are."""

MAX_FORGET_RECALL = 0.02  # a never-knower hits a fact by chance: one question in fifty
STATEMENT_MARGIN = 0.05  # above what never-seen names get: plain text has no "I don't know", it guesses
MIN_RETAIN_RATIO = 0.98  # of the facts of people who stay
MAX_KS = 0.35  # a retrained model comes up to .33 away from never-seen names (28 people); one that knows, above .6
LENS_MARGIN = 0.15  # above what never-seen names read by chance (a digit is among the top 5 half of the time)
