"""The doctor of ``flask redis check``: are the servers fit, and what should be changed?

It changes nothing. Facts that a managed server withholds are 'unknown', which is not a failure.
Begin with ``facts.py`` and ``checks.py`` (one server), then ``deployment.py`` (several).
"""

from occupancy.cli.doctor.checks import CHECKS
from occupancy.cli.doctor.deployment import examine
from occupancy.cli.doctor.facts import Check, Facts, read_facts

__all__ = ["CHECKS", "Check", "Facts", "examine", "read_facts"]
