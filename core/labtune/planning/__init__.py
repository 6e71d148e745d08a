"""What a training will cost in memory and time, found out before it begins."""

from labtune.planning.planner import Candidate, Plan, plan

__all__ = ["Candidate", "Plan", "plan"]
