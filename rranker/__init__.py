"""rranker"""
