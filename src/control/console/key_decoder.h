/* key_decoder.h - bytes from a terminal become keys.
 *
 * Understands what xterm, the Linux console, tmux and Windows' virtual terminal input send:
 * control characters, CSI and SS3 sequences with modifiers, Alt as a leading ESC, bracketed
 * paste, UTF-8. Unknown sequences, bytes that are no well-formed UTF-8 and control characters
 * of the C1 set give nothing. Any sequence of bytes is safe, and no prefix swallows more than
 * the one sequence it began.
 *
 * Threads: belongs to one editor.
 */
#ifndef PAIRPORT_CONTROL_CONSOLE_KEY_DECODER_H
#define PAIRPORT_CONTROL_CONSOLE_KEY_DECODER_H

#include <stdbool.h>
#include <stddef.h>

enum key_press {
    PRESS_NONE = 0, /* nothing yet */
    PRESS_TEXT,     /* a printable character, in `text` */
    PRESS_ENTER,
    PRESS_TAB,
    PRESS_LEFT,
    PRESS_RIGHT,
    PRESS_WORD_LEFT,
    PRESS_WORD_RIGHT,
    PRESS_UP,
    PRESS_DOWN,
    PRESS_HOME,
    PRESS_END,
    PRESS_BACKSPACE,
    PRESS_DELETE,
    PRESS_KILL_END,        /* Ctrl-K */
    PRESS_KILL_START,      /* Ctrl-U */
    PRESS_KILL_WORD,       /* Ctrl-W, Alt-Backspace: to the left */
    PRESS_KILL_WORD_RIGHT, /* Alt-D */
    PRESS_YANK,            /* Ctrl-Y: what was killed last */
    PRESS_SWAP,            /* Ctrl-T */
    PRESS_CLEAR,           /* Ctrl-L */
    PRESS_INTERRUPT,       /* Ctrl-C */
    PRESS_EOF              /* Ctrl-D */
};

struct key_decoder {
    enum key_state { KEYS_PLAIN, KEYS_ESC, KEYS_CSI, KEYS_SS3 } state;
    char params[16]; /* of a CSI sequence; longer ones are read to their end and ignored */
    size_t param_len;
    unsigned char pending[4]; /* of a character that is not complete */
    size_t pending_len;
    bool pasting;    /* between the marks of a bracketed paste */
    bool after_cr;   /* a LF right behind a CR is the same line end */
    char text[5];    /* of PRESS_TEXT, zero-terminated */
    bool reconsider; /* the byte ended a broken sequence and counts again by itself */
};

void key_decoder_init(struct key_decoder *decoder);

/* Takes one byte. Call again with the same byte while `decoder->reconsider` is set. */
enum key_press key_decoder_feed(struct key_decoder *decoder, unsigned char byte);

#endif
