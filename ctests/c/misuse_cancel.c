/* Misuse of cancel tokens. See misuse.h. */
#include "misuse.h"

MISUSE(weft_cancel_token_new)
{
    struct zoo *zoo = zoo_new();
    weft_cancel_token *token = SENTINEL;
    CHECK_INVALID(weft_cancel_token_new(NULL, NULL), "out");
    FOR_WRONG(zoo, TOKEN, h) {
        CHECK_INVALID(weft_cancel_token_new(h, &token), "parent");
        CHECK(token == SENTINEL);
    }
    zoo_end(zoo);
}

MISUSE(weft_cancel_token_trigger)
{
    struct zoo *zoo = zoo_new();
    CHECK_INVALID(weft_cancel_token_trigger(NULL, "why"), "token");
    FOR_WRONG(zoo, TOKEN, h)
        CHECK_INVALID(weft_cancel_token_trigger(h, "why"), "token");
    zoo_end(zoo);
}

MISUSE(weft_cancel_token_triggered)
{
    struct zoo *zoo = zoo_new();
    COMPLAINS(CHECK(!weft_cancel_token_triggered(NULL)), "token");
    FOR_WRONG(zoo, TOKEN, h)
        COMPLAINS(CHECK(!weft_cancel_token_triggered(h)), "token");
    zoo_end(zoo);
}

MISUSE(weft_cancel_token_reason)
{
    struct zoo *zoo = zoo_new();
    COMPLAINS(CHECK(weft_cancel_token_reason(NULL) == NULL), "token");
    FOR_WRONG(zoo, TOKEN, h)
        COMPLAINS(CHECK(weft_cancel_token_reason(h) == NULL), "token");
    zoo_end(zoo);
}

MISUSE(weft_cancel_token_enter)
{
    struct zoo *zoo = zoo_new();
    CHECK_INVALID(weft_cancel_token_enter(NULL), "token");
    FOR_WRONG(zoo, TOKEN, h)
        CHECK_INVALID(weft_cancel_token_enter(h), "token");
    CHECK(!weft_cancelled(NULL));
    zoo_end(zoo);
}

MISUSE(weft_cancel_token_leave)
{
    struct zoo *zoo = zoo_new();
    CHECK_INVALID(weft_cancel_token_leave(NULL), "token");
    FOR_WRONG(zoo, TOKEN, h)
        CHECK_INVALID(weft_cancel_token_leave(h), "token");
    CHECK_INVALID(weft_cancel_token_leave(zoo->token), "entered");
    zoo_end(zoo);
}

MISUSE(weft_cancel_shield_begin)
{
    OK(weft_cancel_shield_begin());
    OK(weft_cancel_shield_end());
}

MISUSE(weft_cancel_shield_end)
{
    CHECK_INVALID(weft_cancel_shield_end(), "entered");
}

MISUSE(weft_cancelled)
{
    struct zoo *zoo = zoo_new();
    CHECK(!weft_cancelled(NULL));
    /* A worker, but another thread's. */
    COMPLAINS(CHECK(!weft_cancelled(zoo->worker)), "worker");
    FOR_WRONG(zoo, WORKER, h)
        COMPLAINS(CHECK(!weft_cancelled(h)), "worker");
    zoo_end(zoo);
}

MISUSE(weft_cancel_token_retain)
{
    struct zoo *zoo = zoo_new();
    CHECK(weft_cancel_token_retain(NULL) == NULL);
    FOR_WRONG(zoo, TOKEN, h)
        COMPLAINS(CHECK(weft_cancel_token_retain(h) == NULL), "cancel token");
    zoo_end(zoo);
}

MISUSE(weft_cancel_token_release)
{
    struct zoo *zoo = zoo_new();
    weft_cancel_token_release(NULL);
    FOR_WRONG(zoo, TOKEN, h)
        COMPLAINS(weft_cancel_token_release(h), "cancel token");
    zoo_end(zoo);
}
