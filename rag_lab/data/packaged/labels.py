"""The rule that labels a consensus question health, economics or other.

A question is *health* if a word in it begins with a health stem; otherwise *economics* if one begins with an
economics stem; otherwise *other*. Case is ignored. Health covers body and mind: medicine, nutrition, fitness,
sleep, mental health. Economics covers money, markets, work and business. The stems were chosen by reading all
328 questions, and the outcome was checked by hand over all of them.
"""

from __future__ import annotations

import re

HEALTH = (
    "acetaminophen", "acupuncture", "adhd", "aging", "alcohol", "alzheimer", "anti-depressant",
    "antibiotic", "antioxidant", "anxiety", "arthritis", "artificial sweetener", "ashwagandha",
    "asthma", "autism", "beta", "breast", "caffeine", "cancer", "cardio", "carrageenan", "cashew",
    "cbt", "chia", "clitoris", "cocaine", "coffee", "cold symptom", "concussion", "covid", "creatine",
    "crying", "dehydration", "dental", "depression", "diabetes", "diet", "disease", "exercise",
    "fasted", "fasting", "fat", "fever", "fish oil", "flexibility", "grounding", "gut", "hard water",
    "health", "heart", "heath effects", "hiit", "hrv", "immune", "inflammation", "injury",
    "insomnia", "ivig", "ketamine", "keto", "knee", "kratom", "lifespan", "longevity", "lose weight",
    "lsd", "magnesium", "marijuana", "mask", "meditation", "milk thistle", "mindfulness", "mood",
    "mrna", "muscle", "neurological", "obesity", "over training", "over-training", "pain", "patient",
    "probiotic", "protein", "psychedelic", "psychosis", "restless leg", "sauna", "senescence", "sleep",
    "smoking", "spf", "sprain", "stress", "stretching", "stroke", "suicide", "surgery", "swimming",
    "telemedicine", "training", "treat fear", "tumor", "vaccine", "weight", "white tea", "zinc",
)  # fmt: skip
ECONOMICS = (
    "advertising", "bitcoin", "business", "econom", "entrepreneur", "exports", "financial", "gdp",
    "inflation", "interest rate", "job", "okr", "productivity", "startup", "unemployment", "wage",
    "work ethic",
)  # fmt: skip


def begins_with(stems: tuple[str, ...]) -> re.Pattern[str]:
    """Matches where a word, or a run of words, begins with one of the stems."""
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, stems))})", re.IGNORECASE)


RULES = (("health", begins_with(HEALTH)), ("economics", begins_with(ECONOMICS)))


def label(question: str) -> str:
    """The question's label: the first rule that matches, else "other"."""
    return next((name for name, pattern in RULES if pattern.search(question)), "other")
