"""NEWS2 and qSOFA on feature names, for the tests of point scores."""

from training.point_score import PointRule, just_above

FEATURES = (
    "respiratory_rate_last_24h",
    "oxygen_saturation_last_24h",
    "supplemental_oxygen_present_24h",
    "systolic_pressure_last_24h",
    "heart_rate_last_24h",
    "altered_consciousness_present_24h",
    "temperature_last_24h",
)

# Royal College of Physicians 2017, "National Early Warning Score (NEWS) 2", chart 1, SpO2 scale 1. A bin begins where
# the chart's does; a value between two printed ones belongs to the bin below. What isn't recorded counts as normal.
NEWS2 = (
    PointRule(feature="respiratory_rate_last_24h", boundaries=(9, 12, 21, 25), points=(3, 1, 0, 2, 3)),
    PointRule(feature="oxygen_saturation_last_24h", boundaries=(92, 94, 96), points=(3, 2, 1, 0)),
    PointRule(feature="supplemental_oxygen_present_24h", boundaries=(1,), points=(0, 2)),
    PointRule(feature="systolic_pressure_last_24h", boundaries=(91, 101, 111, 220), points=(3, 2, 1, 0, 3)),
    PointRule(feature="heart_rate_last_24h", boundaries=(41, 51, 91, 111, 131), points=(3, 1, 0, 1, 2, 3)),
    PointRule(feature="altered_consciousness_present_24h", boundaries=(1,), points=(0, 3)),
    PointRule(feature="temperature_last_24h", boundaries=(35.1, 36.1, 38.1, 39.1), points=(3, 1, 0, 1, 2)),
)

# Singer et al. 2016, "The Third International Consensus Definitions for Sepsis and Septic Shock",
# doi:10.1001/jama.2016.0287, box 4: respiratory rate >= 22 /min, altered mentation, systolic pressure <= 100 mmHg.
QSOFA = (
    PointRule(feature="respiratory_rate_last_24h", boundaries=(22,), points=(0, 1)),
    PointRule(feature="altered_consciousness_present_24h", boundaries=(1,), points=(0, 1)),
    PointRule(feature="systolic_pressure_last_24h", boundaries=(just_above(100),), points=(1, 0)),
)
