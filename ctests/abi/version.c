/* Prints the version that the header was compiled with and the one that the loaded library answers with, a line each. */
#include <inttypes.h>
#include <stdio.h>
#include <weft/weft.h>

int main(void)
{
    uint32_t version = weft_version();
    printf("header %d.%d.%d abi %d\n", WEFT_VERSION_MAJOR, WEFT_VERSION_MINOR, WEFT_VERSION_PATCH, WEFT_ABI_VERSION);
    printf("library %" PRIu32 ".%" PRIu32 ".%" PRIu32 " abi %" PRIu32 " rest %" PRIu32 "\n", version >> 24,
           version >> 16 & 255, version >> 8 & 255, weft_abi_version(), version & 255);
    return 0;
}
