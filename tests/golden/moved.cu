// moved
typedef Axis<0, Spread<TW_SPREAD_m>, TW_STEP_m, TW_EVEN_m> Axis_m;
typedef Axis<1, Spread<TW_SPREAD_n>, TW_STEP_n, TW_EVEN_n> Axis_n;
typedef Axes<Axis_m, Axis_n> Axes_m_n;

struct Arguments {
    Fault* fault;
    unsigned launch;
    int m_first, m_last, m_programs;
    int n_first, n_last, n_programs;
    Tensor<const TYPE_T, 2> arg_x;
    Tensor<TYPE_T, 2> arg_same;
    Tensor<TYPE_T, 2> arg_turned;
    int dim_M;
    int dim_N;
};

extern "C" __global__ void __launch_bounds__(TW_THREADS + TW_PRODUCERS)
moved(const __grid_constant__ Arguments args) {
    // for (m, n) in tile((M, N))
    TW_SHARED(shared);
    (void)shared;
    unsigned program = blockIdx.x;
    Axis_n n;
    n.at(args.n_first + int(program % unsigned(args.n_programs)) * Axis_n::step, args.n_last);
    program /= unsigned(args.n_programs);
    Axis_m m;
    m.at(args.m_first + int(program % unsigned(args.m_programs)) * Axis_m::step, args.m_last);
    program /= unsigned(args.m_programs);
    (void)program;
    Tile<TYPE_T, Axes_m_n> v0;
    load<TW_VECTOR_0>(true, v0, args.arg_x.data, cast<TYPE_T>(0.0f), along(args.arg_x.stride[0], m), along(args.arg_x.stride[1], n));
    sync_program();
    // same[(m, n)] = x[(m, n)];
    store<TW_VECTOR_1>(true, v0, args.arg_same.data, along(args.arg_same.stride[0], m), along(args.arg_same.stride[1], n));
    Tile<TYPE_T, Axes_m_n> v1;
    load<TW_VECTOR_0>(true, v1, args.arg_x.data, cast<TYPE_T>(0.0f), along(args.arg_x.stride[0], m), along(args.arg_x.stride[1], n));
    sync_program();
    // turned[(n, m)] = x[(m, n)];
    store<1>(true, v1, args.arg_turned.data, along(args.arg_turned.stride[0], n), along(args.arg_turned.stride[1], m));
}
