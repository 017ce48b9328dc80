
#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* WEFT_H */
