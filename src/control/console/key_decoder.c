#include "control/console/key_decoder.h"

#include <string.h>

#include "control/command/parse_line.h"

void key_decoder_init(struct key_decoder *decoder)
{
    *decoder = (struct key_decoder){.state = KEYS_PLAIN};
}

static enum key_press control_key(unsigned char byte)
{
    switch (byte) {
    case 0x01: return PRESS_HOME;       /* Ctrl-A */
    case 0x02: return PRESS_LEFT;       /* Ctrl-B */
    case 0x03: return PRESS_INTERRUPT;  /* Ctrl-C */
    case 0x04: return PRESS_EOF;        /* Ctrl-D */
    case 0x05: return PRESS_END;        /* Ctrl-E */
    case 0x06: return PRESS_RIGHT;      /* Ctrl-F */
    case 0x08: return PRESS_BACKSPACE;  /* Ctrl-H, Backspace of some terminals */
    case 0x09: return PRESS_TAB;        /* Ctrl-I */
    case 0x0a: return PRESS_ENTER;      /* Ctrl-J */
    case 0x0b: return PRESS_KILL_END;   /* Ctrl-K */
    case 0x0c: return PRESS_CLEAR;      /* Ctrl-L */
    case 0x0d: return PRESS_ENTER;      /* Ctrl-M, Enter */
    case 0x0e: return PRESS_DOWN;       /* Ctrl-N */
    case 0x10: return PRESS_UP;         /* Ctrl-P */
    case 0x14: return PRESS_SWAP;       /* Ctrl-T */
    case 0x15: return PRESS_KILL_START; /* Ctrl-U */
    case 0x17: return PRESS_KILL_WORD;  /* Ctrl-W */
    case 0x19: return PRESS_YANK;       /* Ctrl-Y */
    case 0x7f: return PRESS_BACKSPACE;  /* Backspace */
    default: return PRESS_NONE;         /* no meaning here */
    }
}

/* The final byte of a cursor key, the same behind CSI and SS3. */
static enum key_press cursor_key(unsigned char byte, bool by_word)
{
    switch (byte) {
    case 'A': return PRESS_UP;
    case 'B': return PRESS_DOWN;
    case 'C': return by_word ? PRESS_WORD_RIGHT : PRESS_RIGHT;
    case 'D': return by_word ? PRESS_WORD_LEFT : PRESS_LEFT;
    case 'F': return PRESS_END;
    case 'H': return PRESS_HOME;
    default: return PRESS_NONE;
    }
}

static unsigned first_param(const struct key_decoder *decoder)
{
    unsigned value = 0;
    for (size_t i = 0; i < decoder->param_len; i++) {
        char c = decoder->params[i];
        if (c < '0' || c > '9')
            break;
        value = value * 10 + (unsigned)(c - '0'); /* at most 15 digits are kept: see params */
        if (value > 1000)
            return 1000; /* no key has such a number */
    }
    return value;
}

static enum key_press finish_csi(struct key_decoder *decoder, unsigned char byte)
{
    decoder->state = KEYS_PLAIN;
    if (decoder->param_len == sizeof decoder->params)
        return PRESS_NONE; /* too long to be a key */
    if (byte != '~') {
        /* "1;5C" is Ctrl-Right, "1;3C" Alt-Right. */
        bool by_word = decoder->param_len == 3 && decoder->params[1] == ';' &&
                       (decoder->params[2] == '5' || decoder->params[2] == '3');
        return cursor_key(byte, by_word);
    }
    switch (first_param(decoder)) {
    case 1:
    case 7: return PRESS_HOME;
    case 3: return PRESS_DELETE;
    case 4:
    case 8: return PRESS_END;
    case 200: decoder->pasting = true; return PRESS_NONE;
    case 201: decoder->pasting = false; return PRESS_NONE;
    default: return PRESS_NONE; /* insert, page up and down, function keys */
    }
}

static enum key_press feed_csi(struct key_decoder *decoder, unsigned char byte)
{
    if (byte >= 0x20 && byte < 0x40) { /* parameters and intermediates */
        if (decoder->param_len < sizeof decoder->params)
            decoder->params[decoder->param_len++] = (char)byte;
        return PRESS_NONE;
    }
    if (byte >= 0x40 && byte < 0x7f)
        return finish_csi(decoder, byte);
    decoder->state = KEYS_PLAIN;
    decoder->reconsider = true;
    return PRESS_NONE;
}

static enum key_press feed_esc(struct key_decoder *decoder, unsigned char byte)
{
    decoder->state = KEYS_PLAIN;
    switch (byte) {
    case '[':
        decoder->state = KEYS_CSI;
        decoder->param_len = 0;
        return PRESS_NONE;
    case 'O': decoder->state = KEYS_SS3; return PRESS_NONE;
    case 0x1b: decoder->state = KEYS_ESC; return PRESS_NONE;
    default: break;
    }
    if (decoder->pasting) {
        decoder->reconsider = true;
        return PRESS_NONE;
    }
    switch (byte) {
    case 'b': return PRESS_WORD_LEFT;
    case 'f': return PRESS_WORD_RIGHT;
    case 'd': return PRESS_KILL_WORD_RIGHT;
    case 0x08:
    case 0x7f: return PRESS_KILL_WORD;
    default:
        /* A lone ESC has no meaning: what follows counts by itself. */
        decoder->reconsider = true;
        return PRESS_NONE;
    }
}

/* Collects a character; bytes that cannot be part of one are dropped. */
static enum key_press feed_text(struct key_decoder *decoder, unsigned char byte)
{
    bool continues = byte >= 0x80 && byte < 0xc0;
    if (decoder->pending_len > 0 && !continues) {
        decoder->pending_len = 0; /* the one before was cut off */
        decoder->reconsider = true;
        return PRESS_NONE;
    }
    decoder->pending[decoder->pending_len++] = byte;
    unsigned char lead = decoder->pending[0];
    size_t want = lead < 0x80   ? 1
                  : lead < 0xc0 ? 0
                  : lead < 0xe0 ? 2
                  : lead < 0xf0 ? 3
                  : lead < 0xf8 ? 4
                                : 0;
    if (want > decoder->pending_len)
        return PRESS_NONE;
    size_t len = decoder->pending_len;
    decoder->pending_len = 0;
    if (want == 0)
        return PRESS_NONE;
    memcpy(decoder->text, decoder->pending, len);
    decoder->text[len] = '\0';
    return parse_printable_prefix(decoder->text, len) == len ? PRESS_TEXT : PRESS_NONE;
}

static enum key_press feed_plain(struct key_decoder *decoder, unsigned char byte)
{
    bool same_end = decoder->after_cr && byte == '\n';
    decoder->after_cr = byte == '\r';
    if (byte >= 0x20 && byte != 0x7f)
        return feed_text(decoder, byte);
    decoder->pending_len = 0;
    if (byte == 0x1b) {
        decoder->state = KEYS_ESC;
        return PRESS_NONE;
    }
    if (same_end)
        return PRESS_NONE;
    enum key_press press = control_key(byte);
    if (!decoder->pasting || press == PRESS_ENTER)
        return press;
    if (press != PRESS_TAB)
        return PRESS_NONE; /* pasted control characters are no keys */
    memcpy(decoder->text, " ", 2);
    return PRESS_TEXT;
}

enum key_press key_decoder_feed(struct key_decoder *decoder, unsigned char byte)
{
    decoder->reconsider = false;
    switch (decoder->state) {
    case KEYS_PLAIN: return feed_plain(decoder, byte);
    case KEYS_ESC: return feed_esc(decoder, byte);
    case KEYS_CSI: return feed_csi(decoder, byte);
    case KEYS_SS3:
        decoder->state = KEYS_PLAIN;
        if (byte < 0x20 || byte >= 0x7f)
            decoder->reconsider = true;
        return decoder->reconsider ? PRESS_NONE : cursor_key(byte, false);
    }
    return PRESS_NONE;
}
