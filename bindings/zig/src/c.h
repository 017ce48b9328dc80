/* What build.zig translates for the module "c". A file of its own, so that the include path decides which weft.h it is. */
#define WEFT_NO_INLINE
#include <weft/weft.h>
