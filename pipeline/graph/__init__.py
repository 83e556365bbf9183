"""graph: titles become node ids, links become edges (LinkBERT, arXiv:2203.15827, section 4.1).

All titles and redirects are indexed once; the links of each part of pages are resolved against the
memory-mapped index; edges are merged, sorted and stored as CSR arrays. `link_graph` opens the
result, `subset` grows a smaller corpus along it.
"""
