
#ifdef __cplusplus
} /* extern "C" */
#endif

/* weft_fork, weft_next, weft_sync */
#include "join.h"

#endif /* WEFT_H */
