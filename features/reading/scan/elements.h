/* Elements of FHIR that a plain Observation has, or that are read strictly though it does not need them: a value of the
   wrong type there is for the other reader to count. */

#include "json.h"

/* Each of these passes a value by; `plain` becomes 0 where the value is not surely of the right type. */

static int text_of(walk *w, span *found, int *plain) {
    int escaped;
    blank(w);
    *found = NOTHING;
    if (*w->p != '"') { *plain = 0; return pass(w); }
    if (!string(w, found, &escaped)) FAIL;
    if (escaped) *plain = 0;
    return 1;
}

static int number_of(walk *w, double *value, int *plain) {
    int exact = 0;
    blank(w);
    if (*w->p != '-' && !is_digit(*w->p)) { *plain = 0; return pass(w); }
    if (!number(w, value, &exact)) FAIL;
    if (!exact) *plain = 0;
    return 1;
}

typedef struct { double value; span unit, system, code, comparator; } quantity;

static int quantity_of(walk *w, quantity *q, int *plain) {
    int first = 1, over, seen = 0, bit;
    span key;
    q->value = __builtin_nan("");
    q->unit = q->system = q->code = q->comparator = NOTHING;
    blank(w);
    if (*w->p != '{') { *plain = 0; return pass(w); }
    w->p++;
    for (;;) {
        if (!name(w, &first, &key, &over)) FAIL;
        if (over) return 1;
        if (IS(w, key, "value")) { bit = 1; if (!number_of(w, &q->value, plain)) FAIL; }
        else if (IS(w, key, "unit")) { bit = 2; if (!text_of(w, &q->unit, plain)) FAIL; }
        else if (IS(w, key, "system")) { bit = 4; if (!text_of(w, &q->system, plain)) FAIL; }
        else if (IS(w, key, "code")) { bit = 8; if (!text_of(w, &q->code, plain)) FAIL; }
        else if (IS(w, key, "comparator")) { bit = 16; if (!text_of(w, &q->comparator, plain)) FAIL; }
        else { bit = 0; if (!pass(w)) FAIL; }
        if (seen & bit) *plain = 0;
        seen |= bit;
    }
}

static int coding_of(walk *w, int *plain) {
    int first = 1, over;
    span key, found;
    blank(w);
    if (*w->p != '{') { *plain = 0; return pass(w); }
    w->p++;
    for (;;) {
        if (!name(w, &first, &key, &over)) FAIL;
        if (over) return 1;
        if (IS(w, key, "system") || IS(w, key, "code") || IS(w, key, "display")) {
            if (!text_of(w, &found, plain)) FAIL;
        }
        else if (!pass(w)) FAIL;
    }
}

typedef int (*part)(walk *, int *);

static int each(walk *w, int *plain, part one) {
    int first = 1, over;
    blank(w);
    if (*w->p != '[') { *plain = 0; return pass(w); }
    w->p++;
    for (;;) {
        if (!element(w, &first, &over)) FAIL;
        if (over) return 1;
        if (!one(w, plain)) FAIL;
    }
}

static int concept_of(walk *w, int *plain) {
    int first = 1, over;
    span key, found;
    blank(w);
    if (*w->p != '{') { *plain = 0; return pass(w); }
    w->p++;
    for (;;) {
        if (!name(w, &first, &key, &over)) FAIL;
        if (over) return 1;
        if (IS(w, key, "coding")) { if (!each(w, plain, coding_of)) FAIL; }
        else if (IS(w, key, "text")) { if (!text_of(w, &found, plain)) FAIL; }
        else if (!pass(w)) FAIL;
    }
}

static int range_of(walk *w, int *plain) {
    int first = 1, over;
    span key;
    quantity q;
    blank(w);
    if (*w->p != '{') { *plain = 0; return pass(w); }
    w->p++;
    for (;;) {
        if (!name(w, &first, &key, &over)) FAIL;
        if (over) return 1;
        if (IS(w, key, "low") || IS(w, key, "high")) { if (!quantity_of(w, &q, plain)) FAIL; }
        else if (!pass(w)) FAIL;
    }
}

static int meta_of(walk *w, span *whole, int *plain) {
    int first = 1, over;
    span key, found;
    blank(w);
    whole->at = w->p - w->text;
    if (*w->p != '{') { *plain = 0; return pass(w); }
    w->p++;
    for (;;) {
        if (!name(w, &first, &key, &over)) FAIL;
        if (over) break;
        if (IS(w, key, "lastUpdated") || IS(w, key, "versionId")) { if (!text_of(w, &found, plain)) FAIL; }
        else if (!pass(w)) FAIL;
    }
    whole->end = w->p - w->text;
    return 1;
}

/* One business identifier that says whose it is; none or several are for others to choose from. */
static int identifier_of(walk *w, span *system, span *value, int *plain) {
    int first = 1, over;
    span key;
    if (!take(w, '[')) { *plain = 0; return pass(w); }
    if (!take(w, '{')) {
        *plain = 0;
        w->p--; /* back to the bracket, or to the blank before what is no object */
        while (*w->p != '[') w->p--;
        return pass(w);
    }
    for (;;) {
        if (!name(w, &first, &key, &over)) FAIL;
        if (over) break;
        if (IS(w, key, "system")) { if (system->at >= 0) *plain = 0; if (!text_of(w, system, plain)) FAIL; }
        else if (IS(w, key, "value")) { if (value->at >= 0) *plain = 0; if (!text_of(w, value, plain)) FAIL; }
        else if (!pass(w)) FAIL;
    }
    if (system->end <= system->at || value->end <= value->at) *plain = 0;
    blank(w);
    while (*w->p == ',') { *plain = 0; w->p++; if (!pass(w)) FAIL; blank(w); }
    return take(w, ']');
}

/* --- times ------------------------------------------------------------------------------------------------------ */

static int two(const char *p, int *found) {
    if (!is_digit(p[0]) || !is_digit(p[1])) FAIL;
    *found = 10 * (p[0] - '0') + (p[1] - '0');
    return 1;
}

/* Days since 1970 of the Gregorian calendar. Source: H. Hinnant, chrono-Compatible Low-Level Date Algorithms. */
static int64_t days(int64_t y, int64_t m, int64_t d) {
    y -= m <= 2;
    const int64_t era = y / 400, of_era = y - era * 400; /* years from 1000 on alone */
    const int64_t of_year = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/* A FHIR instant in its usual way of writing: YYYY-MM-DDThh:mm[:ss[.f]](Z|±hh:mm). */
static int instant(const walk *w, span s, int64_t *time) {
    static const int MONTH[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    const char *p = w->text + s.at, *end = w->text + s.end;
    int century, y, m, d, h, min, sec = 0, zh = 0, zm = 0, ahead;
    int64_t fraction = 0;
    if (end - p < 17) FAIL;
    if (!two(p, &century) || !two(p + 2, &y) || p[4] != '-' || !two(p + 5, &m) || p[7] != '-' || !two(p + 8, &d)) FAIL;
    if (p[10] != 'T' || !two(p + 11, &h) || p[13] != ':' || !two(p + 14, &min)) FAIL;
    y += 100 * century;
    p += 16;
    if (*p == ':') {
        if (end - p < 4 || !two(p + 1, &sec)) FAIL;
        p += 3;
        if (*p == '.') {
            int n = 0;
            p++;
            for (; p < end && is_digit(*p); p++, n++) if (n < 6) fraction = 10 * fraction + (*p - '0');
            if (n < 1 || n > 9) FAIL;
            for (; n < 6; n++) fraction *= 10;
        }
    }
    if (end - p == 1) {
        if (*p != 'Z') FAIL;
        ahead = 0;
    } else {
        if (end - p != 6 || (*p != '+' && *p != '-') || !two(p + 1, &zh) || p[3] != ':' || !two(p + 4, &zm)) FAIL;
        if (zh > 13 || zm > 59) FAIL;
        ahead = (*p == '-' ? -1 : 1) * (3600 * zh + 60 * zm);
    }
    if (y < 1000 || y > 2999 || m < 1 || m > 12 || h > 23 || min > 59 || sec > 59) FAIL;
    if (d < 1 || d > MONTH[m - 1] + (m == 2 && (y % 4 == 0) && (y % 100 != 0 || y % 400 == 0))) FAIL;
    *time = ((days(y, m, d) * 24 + h) * 60 + min) * 60 + sec - ahead;
    *time = *time * 1000000 + fraction;
    return 1;
}
