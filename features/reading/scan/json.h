/* JSON (RFC 8259), walked without building anything. The text must be valid UTF-8 and end with a zero byte, as Python's
   bytes do. Every function returns 0 where the text is not surely well formed.

   Numbers: W. D. Clinger, How to read floating point numbers accurately (1990): of at most fifteen digits and a power
   of ten up to 22, one correctly rounded operation gives the correctly rounded number. */

#include <float.h>
#include <stdint.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum { DEEPEST = 64 };

/* Places in the text; -1 where there is nothing. */
typedef struct { int64_t at, end; } span;
static const span NOTHING = {-1, -1};

/* Where a walk stands. */
typedef struct { const char *text, *end, *p; } walk;

#define FAIL return 0

/* --- JSON ------------------------------------------------------------------------------------------------------- */

static inline void blank(walk *w) {
    while (*w->p == ' ' || *w->p == '\n' || *w->p == '\r' || *w->p == '\t') w->p++;
}

static inline int take(walk *w, char wanted) {
    blank(w);
    if (*w->p != wanted) return 0;
    w->p++;
    return 1;
}

/* The first quotation mark, backslash or control character from p on; the zero byte at the end is one. */
static inline const char *string_end(const char *p, const char *end) {
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\'), control = _mm_set1_epi8(0x1f);
    while (end - p >= 16) {
        const __m128i c = _mm_loadu_si128((const __m128i *)p);
        __m128i stops = _mm_or_si128(_mm_cmpeq_epi8(c, quote), _mm_cmpeq_epi8(c, slash));
        stops = _mm_or_si128(stops, _mm_cmpeq_epi8(_mm_min_epu8(c, control), c));
        const int found = _mm_movemask_epi8(stops);
        if (found) return p + __builtin_ctz((unsigned)found);
        p += 16;
    }
#endif
    while (*p != '"' && *p != '\\' && (unsigned char)*p >= 0x20) p++;
    return p;
}

/* The UTF-16 unit of an escape, from its u on; -1 where it is none. */
static int unit_of(walk *w) {
    int unit = 0;
    w->p++;
    for (int i = 0; i < 4; i++, w->p++) {
        const char c = *w->p;
        const int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
        if (digit < 0) return -1;
        unit = 16 * unit + digit;
    }
    return unit;
}

/* A string; `inside` is what stands between the quotation marks, `escaped` whether any of it is written otherwise. Half a
   surrogate pair stands for nothing: the text is not well formed then. */
static int string(walk *w, span *inside, int *escaped) {
    if (!take(w, '"')) FAIL;
    inside->at = w->p - w->text;
    *escaped = 0;
    for (;;) {
        w->p = string_end(w->p, w->end);
        if (*w->p == '"') break;
        if (*w->p != '\\') FAIL;
        *escaped = 1;
        w->p++;
        switch (*w->p) {
        case '"': case '\\': case '/': case 'b': case 'f': case 'n': case 'r': case 't': w->p++; break;
        case 'u': {
            const int unit = unit_of(w), half = unit & 0xFC00;
            if (unit < 0 || half == 0xDC00) FAIL; /* the second half of a surrogate pair, without the first */
            if (half != 0xD800) break;
            if (w->p[0] != '\\' || w->p[1] != 'u') FAIL;
            w->p++;
            if ((unit_of(w) & 0xFC00) != 0xDC00) FAIL;
            break;
        }
        default: FAIL;
        }
    }
    inside->end = w->p - w->text;
    w->p++;
    return 1;
}

static inline int is_digit(char c) { return c >= '0' && c <= '9'; }

/* Takes digits up; those that count, from the first that is not 0, are counted, and kept while they fit. */
static const char *digits_of(const char *p, uint64_t *mantissa, int *digits) {
    for (; is_digit(*p); p++) {
        if (!*mantissa && *p == '0') continue;
        if (*digits < 19) *mantissa = 10 * *mantissa + (uint64_t)(*p - '0');
        if (*digits < 1000) ++*digits;
    }
    return p;
}

/* A number; `exact` is whether `value` is the double next to it, else it has to be read by another. */
static int number(walk *w, double *value, int *exact) {
    static const double TEN[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    const char *p = w->p;
    int digits = 0, power = 0, minus = 0;
    uint64_t mantissa = 0;
    if (*p == '-') { minus = 1; p++; }
    if (!is_digit(*p)) FAIL;
    if (*p == '0' && is_digit(p[1])) FAIL;
    p = digits_of(p, &mantissa, &digits);
    if (*p == '.') {
        const char *point = p + 1;
        if (!is_digit(*point)) FAIL;
        p = digits_of(point, &mantissa, &digits);
        power = (int)(point - p);
    }
    if (*p == 'e' || *p == 'E') {
        int sign = 1, exponent = 0;
        p++;
        if (*p == '+' || *p == '-') { sign = *p == '-' ? -1 : 1; p++; }
        if (!is_digit(*p)) FAIL;
        for (; is_digit(*p); p++) if (exponent < 10000) exponent = 10 * exponent + (*p - '0');
        power += sign * exponent;
    }
    w->p = p;
    *exact = FLT_EVAL_METHOD == 0 && digits <= 15 && power >= -22 && power <= 22;
    if (*exact) {
        const double whole = (double)mantissa;
        const double size = power < 0 ? whole / TEN[-power] : whole * TEN[power];
        *value = minus ? -size : size;
    }
    return 1;
}

static int word(walk *w, const char *wanted, size_t length) {
    if ((size_t)(w->end - w->p) < length || memcmp(w->p, wanted, length)) FAIL;
    w->p += length;
    return 1;
}

/* Any value, passed by; its depth is bounded without recursion. */
static int pass(walk *w) {
    unsigned char is_object[DEEPEST];
    int depth = 0;
    span inside;
    int escaped;
    double value;
    for (;;) {
        blank(w);
        switch (*w->p) {
        case '{':
        case '[':
            if (depth == DEEPEST) FAIL;
            is_object[depth] = *w->p == '{';
            w->p++;
            blank(w);
            if (*w->p == (is_object[depth] ? '}' : ']')) { w->p++; break; }
            if (is_object[depth++]) { if (!string(w, &inside, &escaped) || !take(w, ':')) FAIL; }
            continue;
        case '"': if (!string(w, &inside, &escaped)) FAIL; break;
        case 't': if (!word(w, "true", 4)) FAIL; break;
        case 'f': if (!word(w, "false", 5)) FAIL; break;
        case 'n': if (!word(w, "null", 4)) FAIL; break;
        default: if (!number(w, &value, &escaped)) FAIL;
        }
        for (;;) { /* a value has ended */
            if (!depth) return 1;
            blank(w);
            if (*w->p == ',') {
                w->p++;
                if (is_object[depth - 1] && (!string(w, &inside, &escaped) || !take(w, ':'))) FAIL;
                break;
            }
            if (*w->p != (is_object[depth - 1] ? '}' : ']')) FAIL;
            w->p++;
            depth--;
        }
    }
}

static int raw(walk *w, span *where) {
    blank(w);
    where->at = w->p - w->text;
    if (!pass(w)) FAIL;
    where->end = w->p - w->text;
    return 1;
}

static inline int is(const walk *w, span s, const char *name, int64_t length) {
    return s.end - s.at == length && !memcmp(w->text + s.at, name, (size_t)length);
}
#define IS(w, s, name) is(w, s, name, (int64_t)sizeof(name) - 1)

/* Walks an object: the next name, or the end of it. Names written with escapes are nobody's business here. */
static int name(walk *w, int *first, span *found, int *over) {
    int escaped;
    blank(w);
    *over = 0;
    if (*first) {
        if (*w->p == '}') { w->p++; *over = 1; return 1; }
    } else {
        if (*w->p == '}') { w->p++; *over = 1; return 1; }
        if (*w->p != ',') FAIL;
        w->p++;
    }
    *first = 0;
    return string(w, found, &escaped) && !escaped && take(w, ':');
}

static int element(walk *w, int *first, int *over) {
    blank(w);
    *over = 0;
    if (*w->p == ']') { w->p++; *over = 1; return 1; }
    if (!*first) {
        if (*w->p != ',') FAIL;
        w->p++;
        blank(w);
    }
    *first = 0;
    return 1;
}

