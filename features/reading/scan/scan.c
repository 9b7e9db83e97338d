/* Reads the plain Observations of a FHIR searchset in one pass over its JSON; see searchset.py, which calls it.

   What repeats itself word for word (code and unit, subject and status) is told apart here and resolved there, once
   each; what does not (value, times) becomes a number. Nothing is judged: a resource that is not plain is handed back
   as bytes, and whatever is not surely well formed is left, whole, to the decoder that can say what is wrong with it.

   No memory of its own, no state, no locale. */

#include "elements.h"

enum { VERSION = 3, WORDING_PARTS = 5, STATER_PARTS = 2, MOST_PARTS = 5, MOST_FORMS = 1024, TABLE = 2048,
       MOST_PROBES = 64 };

/* What came of it: else than DONE, the caller takes the other way. */
enum { DONE = 0, LEFT = 1, FULL = 2 };

/* Columns of a plain Observation; `at` and `end` are places in the text, -1 where there is nothing. */
enum {
    VALUE, TIME, KNOWN, WORDING, STATER, ID_AT, ID_END, META_AT, META_END, SYSTEM_AT, SYSTEM_END, NAME_AT, NAME_END,
    RESOURCE_AT, RESOURCE_END, COLUMNS
};
/* What repeats: how a measurement is worded, and of whom and as what it is stated. */
enum { CODE, UNIT, UNIT_SYSTEM, UNIT_CODE, COMPARATOR };
enum { SUBJECT, STATUS };
/* In the keys: what parts a form's parts, stands for one that is not there, and ends a form. None is in any JSON. */
enum { NEXT = 0, ABSENT = 1, OVER = 2 };
/* The head: how many of each there are, and in a body the place of the object whose members are searchsets. */
enum { PLAIN, WORDINGS, STATERS, OTHERS, KEYS, MEMBERS, WITHIN_AT, WITHIN_END, OPENED, HEAD };
/* A member: its name and value, whether that is a searchset, and if so what is in it and what it says of itself. */
enum {
    MEMBER_AT, MEMBER_END, VALUE_AT, VALUE_END, IS_SEARCHSET, PLAIN_FROM, PLAIN_TO, OTHERS_FROM, OTHERS_TO, MATCHES,
    TYPE_AT, TYPE_END, LINK_AT, LINK_END, MEMBER_COLUMNS
};

/* Forms told apart by their parts. */
typedef struct {
    int parts, count;
    span known[MOST_FORMS][MOST_PARTS];
    int16_t table[TABLE]; /* open addressing: number of a form + 1 */
} forms;

typedef struct {
    walk walk;
    int64_t capacity;
    int64_t *head, *columns, *others, *member;
    forms *wordings, *staters;
} reader;

/* --- Observations ----------------------------------------------------------------------------------------------- */

static uint64_t mixed(uint64_t hash, const reader *r, span s) {
    const char *p = r->walk.text + s.at;
    int64_t left = s.end - s.at;
    uint64_t part;
    for (; left >= 8; left -= 8, p += 8) {
        memcpy(&part, p, 8);
        hash = (hash ^ part) * 0x9E3779B97F4A7C15u;
        hash ^= hash >> 32;
    }
    part = (uint64_t)left + 1;
    if (left > 0) memcpy(&part, p, (size_t)left);
    hash = (hash ^ part ^ ((uint64_t)left << 60)) * 0x9E3779B97F4A7C15u;
    return hash ^ hash >> 29;
}

/* The number of a form; -1 where there are too many, or too many that were made to be looked for in one place. */
static int form_number(const reader *r, forms *f, const span *parts) {
    uint64_t hash = 0x243F6A8885A308D3u;
    for (int i = 0; i < f->parts; i++) hash = mixed(hash, r, parts[i]);
    for (uint64_t probe = hash; probe - hash < MOST_PROBES; probe++) {
        int16_t *slot = &f->table[probe % TABLE];
        if (!*slot) {
            if (f->count == MOST_FORMS) return -1;
            memcpy(f->known[f->count], parts, (size_t)f->parts * sizeof *parts);
            *slot = (int16_t)++f->count;
            return f->count - 1;
        }
        const span *known = f->known[*slot - 1];
        int same = 1;
        for (int i = 0; i < f->parts && same; i++) {
            const int64_t length = parts[i].end - parts[i].at;
            same = known[i].end - known[i].at == length && (known[i].at < 0) == (parts[i].at < 0) &&
                   (length == 0 || !memcmp(r->walk.text + known[i].at, r->walk.text + parts[i].at, (size_t)length));
        }
        if (same) return *slot - 1;
    }
    return -1;
}

/* Writes the forms one behind the other; 0 where they do not fit. */
static int write_keys(const reader *r, const forms *f, char *keys, int64_t room) {
    for (int n = 0; n < f->count; n++)
        for (int i = 0; i < f->parts; i++) {
            const span s = f->known[n][i];
            const int64_t length = s.at < 0 ? 1 : s.end - s.at;
            if (r->head[KEYS] + length + 1 > room) FAIL;
            if (s.at < 0) keys[r->head[KEYS]] = ABSENT;
            else memcpy(keys + r->head[KEYS], r->walk.text + s.at, (size_t)length);
            r->head[KEYS] += length;
            keys[r->head[KEYS]++] = i + 1 < f->parts ? NEXT : OVER;
        }
    return 1;
}

enum { PASSED = 0, NOT_PLAIN = -1 };

typedef struct {
    span resource, type, id, meta, system, name, effective, issued;
    span wording[WORDING_PARTS], stater[STATER_PARTS];
    quantity q;
    int plain;
    uint32_t seen;
} observation;

/* One element of an Observation. */
static int observed(reader *r, span key, observation *o) {
    static const char *OTHERWISE[] = {"modifierExtension", "effectiveInstant", "effectivePeriod", "effectiveTiming",
        "valueInteger", "valueBoolean", "valueString", "valueRatio", "valueRange", "valueCodeableConcept",
        "dataAbsentReason", "method", "focus", "specimen", "component", "contained"};
    uint32_t bit = 0;
    int done = 1;
    if (IS(&r->walk, key, "code")) { bit = 1; done = raw(&r->walk, &o->wording[CODE]); }
    else if (IS(&r->walk, key, "subject")) { bit = 2; done = raw(&r->walk, &o->stater[SUBJECT]); }
    else if (IS(&r->walk, key, "valueQuantity")) { bit = 4; done = quantity_of(&r->walk, &o->q, &o->plain); }
    else if (IS(&r->walk, key, "status")) { bit = 8; done = text_of(&r->walk, &o->stater[STATUS], &o->plain); }
    else if (IS(&r->walk, key, "effectiveDateTime")) { bit = 16; done = text_of(&r->walk, &o->effective, &o->plain); }
    else if (IS(&r->walk, key, "issued")) { bit = 32; done = text_of(&r->walk, &o->issued, &o->plain); }
    else if (IS(&r->walk, key, "id")) { bit = 64; done = text_of(&r->walk, &o->id, &o->plain); }
    else if (IS(&r->walk, key, "resourceType")) {
        int as_it_is = 1;
        bit = 128;
        done = !(o->seen & bit) && text_of(&r->walk, &o->type, &as_it_is);
        if (done && !as_it_is && o->type.at >= 0) FAIL; /* escapes may hide a Bundle, as the other of two types may */
        o->plain &= as_it_is;
    }
    else if (IS(&r->walk, key, "meta")) { bit = 256; done = meta_of(&r->walk, &o->meta, &o->plain); }
    else if (IS(&r->walk, key, "identifier")) {
        bit = 512;
        done = identifier_of(&r->walk, &o->system, &o->name, &o->plain);
    }
    else if (IS(&r->walk, key, "interpretation")) { bit = 1024; done = each(&r->walk, &o->plain, concept_of); }
    else if (IS(&r->walk, key, "referenceRange")) { bit = 2048; done = each(&r->walk, &o->plain, range_of); }
    else {
        for (size_t i = 0; i < sizeof OTHERWISE / sizeof *OTHERWISE; i++)
            if (is(&r->walk, key, OTHERWISE[i], (int64_t)strlen(OTHERWISE[i]))) o->plain = 0;
        done = pass(&r->walk);
    }
    if (o->seen & bit) o->plain = 0;
    o->seen |= bit;
    return done;
}

static int keep(reader *r, const observation *o) {
    const int64_t row = r->head[PLAIN], capacity = r->capacity;
    int64_t time, known;
    if (!instant(&r->walk, o->effective, &time)) return NOT_PLAIN;
    known = time;
    if (o->issued.at >= 0) {
        if (!instant(&r->walk, o->issued, &known)) return NOT_PLAIN;
        if (known < time) known = time;
    }
    const int wording = form_number(r, r->wordings, o->wording), stater = form_number(r, r->staters, o->stater);
    if (wording < 0 || stater < 0) return NOT_PLAIN;
    int64_t *c = r->columns + row;
    memcpy(c + VALUE * capacity, &o->q.value, sizeof(double));
    c[TIME * capacity] = time;
    c[KNOWN * capacity] = known;
    c[WORDING * capacity] = wording;
    c[STATER * capacity] = stater;
    const span spans[] = {o->id, o->meta, o->system, o->name, o->resource};
    for (int i = 0; i < 5; i++) {
        c[(ID_AT + 2 * i) * capacity] = spans[i].at;
        c[(ID_AT + 2 * i + 1) * capacity] = spans[i].end;
    }
    r->head[PLAIN]++;
    return PASSED;
}

static int resource(reader *r, int *result) {
    observation o;
    int first = 1, over;
    span key;
    memset(&o, 0, sizeof o);
    o.type = o.id = o.meta = o.system = o.name = o.effective = o.issued = NOTHING;
    o.wording[CODE] = o.stater[SUBJECT] = o.stater[STATUS] = NOTHING;
    o.plain = 1;
    blank(&r->walk);
    o.resource.at = r->walk.p - r->walk.text;
    if (*r->walk.p != '{') FAIL;
    r->walk.p++;
    for (;;) {
        if (!name(&r->walk, &first, &key, &over)) FAIL;
        if (over) break;
        if (!observed(r, key, &o)) FAIL;
    }
    o.resource.end = r->walk.p - r->walk.text;
    if (IS(&r->walk, o.type, "Bundle")) FAIL; /* a Bundle within a Bundle is opened elsewhere */
    o.wording[UNIT] = o.q.unit;
    o.wording[UNIT_SYSTEM] = o.q.system;
    o.wording[UNIT_CODE] = o.q.code;
    o.wording[COMPARATOR] = o.q.comparator;
    if (r->head[PLAIN] + r->head[OTHERS] >= r->capacity) { *result = FULL; FAIL; }
    const int is_plain = o.plain && IS(&r->walk, o.type, "Observation") && (o.seen & 4) && o.effective.at >= 0;
    if (is_plain && keep(r, &o) == PASSED) return 1;
    r->others[2 * r->head[OTHERS]] = o.resource.at;
    r->others[2 * r->head[OTHERS] + 1] = o.resource.end;
    r->head[OTHERS]++;
    return 1;
}

/* --- the Bundle --------------------------------------------------------------------------------------------------- */

static int search_of(reader *r, int *is_match) {
    int first = 1, over, escaped;
    span key, mode;
    if (!take(&r->walk, '{')) FAIL;
    for (;;) {
        if (!name(&r->walk, &first, &key, &over)) FAIL;
        if (over) return 1;
        if (IS(&r->walk, key, "mode")) {
            if (!string(&r->walk, &mode, &escaped) || escaped) FAIL;
            *is_match = IS(&r->walk, mode, "match");
        } else if (!pass(&r->walk)) FAIL;
    }
}

static int entry(reader *r, int *result) {
    int first = 1, over, escaped, resources = 0, is_match = 1, urls = 0, searches = 0;
    span key, url;
    if (!take(&r->walk, '{')) FAIL;
    for (;;) {
        if (!name(&r->walk, &first, &key, &over)) FAIL;
        if (over) break;
        if (IS(&r->walk, key, "resource")) { if (resources++ || !resource(r, result)) FAIL; }
        else if (IS(&r->walk, key, "fullUrl")) {
            if (urls++ || !string(&r->walk, &url, &escaped) || escaped) FAIL;
            /* An address that holds in this Bundle alone: other entries may refer to it. */
            if (url.end - url.at >= 9 && !memcmp(r->walk.text + url.at, "urn:uuid:", 9)) FAIL;
        } else if (IS(&r->walk, key, "search")) { if (searches++ || !search_of(r, &is_match)) FAIL; }
        else if (!pass(&r->walk)) FAIL;
    }
    r->member[MATCHES] += is_match;
    return resources == 1;
}

static int bundle(reader *r, int *result) {
    int first = 1, over, escaped, entries = 0, seen = 0, links = 0, types = 0;
    span key, type, link;
    if (!take(&r->walk, '{')) FAIL;
    for (;;) {
        if (!name(&r->walk, &first, &key, &over)) FAIL;
        if (over) break;
        if (IS(&r->walk, key, "resourceType")) {
            if (seen++ || !string(&r->walk, &type, &escaped) || escaped || !IS(&r->walk, type, "Bundle")) FAIL;
        } else if (IS(&r->walk, key, "type")) {
            if (types++ || !string(&r->walk, &type, &escaped) || escaped) FAIL;
            r->member[TYPE_AT] = type.at;
            r->member[TYPE_END] = type.end;
        } else if (IS(&r->walk, key, "link")) {
            if (links++ || !raw(&r->walk, &link)) FAIL;
            r->member[LINK_AT] = link.at;
            r->member[LINK_END] = link.end;
        } else if (IS(&r->walk, key, "entry")) {
            int start = 1, ended;
            if (entries++ || !take(&r->walk, '[')) FAIL;
            for (;;) {
                if (!element(&r->walk, &start, &ended)) FAIL;
                if (ended) break;
                if (!entry(r, result)) FAIL;
            }
        } else if (!pass(&r->walk)) FAIL;
    }
    return seen == 1;
}

/* The value of a member: a searchset, or whatever else. */
static int value_of(reader *r, span where, int *result) {
    const char *begun = r->walk.p;
    const int64_t plain = r->head[PLAIN], others = r->head[OTHERS];
    int64_t *m = r->member;
    span whole;
    m[MEMBER_AT] = where.at;
    m[MEMBER_END] = where.end;
    m[MATCHES] = 0;
    m[TYPE_AT] = m[TYPE_END] = m[LINK_AT] = m[LINK_END] = -1;
    m[IS_SEARCHSET] = bundle(r, result);
    if (!m[IS_SEARCHSET]) {
        if (*result == FULL) FAIL;
        r->head[PLAIN] = plain;
        r->head[OTHERS] = others;
        r->walk.p = begun;
        if (!raw(&r->walk, &whole)) FAIL;
        m[VALUE_AT] = whole.at;
        m[VALUE_END] = whole.end;
    } else {
        while (*begun != '{') begun++; /* past the blank space before it */
        m[VALUE_AT] = begun - r->walk.text;
        m[VALUE_END] = r->walk.p - r->walk.text;
    }
    m[PLAIN_FROM] = plain;
    m[PLAIN_TO] = r->head[PLAIN];
    m[OTHERS_FROM] = others;
    m[OTHERS_TO] = r->head[OTHERS];
    r->head[MEMBERS]++;
    r->member += MEMBER_COLUMNS;
    return 1;
}

static int members(reader *r, int64_t most, int *result) {
    int first = 1, over;
    span key;
    blank(&r->walk);
    r->head[WITHIN_AT] = r->walk.p - r->walk.text;
    if (!take(&r->walk, '{')) FAIL;
    for (;;) {
        if (!name(&r->walk, &first, &key, &over)) FAIL;
        if (over) break;
        if (r->head[MEMBERS] == most || !value_of(r, key, result)) FAIL;
    }
    r->head[WITHIN_END] = r->walk.p - r->walk.text;
    return 1;
}

static int body(reader *r, const char *within, int64_t most, int *result) {
    const int64_t length = (int64_t)strlen(within);
    int first = 1, over, found = 0;
    span key;
    if (!take(&r->walk, '{')) FAIL;
    for (;;) {
        if (!name(&r->walk, &first, &key, &over)) FAIL;
        if (over) break;
        if (is(&r->walk, key, within, length)) { if (found++ || !members(r, most, result)) FAIL; }
        else if (!pass(&r->walk)) FAIL;
    }
    return found == 1;
}

/* How often a character stands in the text: an upper bound of what it begins. In blocks whose sums fit into a byte, so
   that the compiler takes sixteen characters at once. */
static int64_t count_of(const char *text, int64_t length, char wanted) {
    enum { BLOCK = 255 };
    int64_t count = 0;
    for (int64_t i = 0; i < length; i += BLOCK) {
        const int64_t end = length - i < BLOCK ? length - i : BLOCK;
        uint8_t part = 0;
        for (int64_t j = 0; j < end; j++) part += text[i + j] == wanted;
        count += part;
    }
    return count;
}

/* --- for Python --------------------------------------------------------------------------------------------------- */

int32_t bedside_scan_version(void) { return VERSION; }

/* Reads a Bundle, the only member; or, where `within` names one, the members of that object in a JSON object.
   `head` int64[9]; `columns` int64[15, capacity]; `others` int64[capacity, 2]; `found` int64[most, 14]; `keys`
   char[room], the forms of the wordings and then of the staters. DONE, or LEFT where another must read it, or FULL where
   it holds more than `capacity` resources or its forms need more than `room`. */
int32_t bedside_scan(const char *text, int64_t length, const char *within, int64_t capacity, int64_t most, int64_t room,
                     int64_t *head, int64_t *columns, int64_t *others, int64_t *found, char *keys) {
    forms wordings, staters;
    reader r = {.walk = {.text = text, .end = text + length, .p = text}, .capacity = capacity, .head = head,
                .columns = columns, .others = others, .member = found, .wordings = &wordings, .staters = &staters};
    int result = LEFT;
    wordings.parts = WORDING_PARTS;
    staters.parts = STATER_PARTS;
    wordings.count = staters.count = 0;
    memset(wordings.table, 0, sizeof wordings.table);
    memset(staters.table, 0, sizeof staters.table);
    memset(head, 0, HEAD * sizeof *head);
    if (within ? !body(&r, within, most, &result) : !value_of(&r, NOTHING, &result)) return result;
    blank(&r.walk);
    if (r.walk.p != r.walk.end) return LEFT;
    head[OPENED] = count_of(text, length, '{');
    head[WORDINGS] = wordings.count;
    head[STATERS] = staters.count;
    return write_keys(&r, &wordings, keys, room) && write_keys(&r, &staters, keys, room) ? DONE : FULL;
}
